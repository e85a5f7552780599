//! Our readers, writers and signatures against messages of heartbeat 3.0.6 (`tests/data/captures/README.md`).

use ha::auth::{self, Key, Keyring, Method};
use ha::msg::stream::StreamReader;
use ha::msg::{Field, Message, Value, classic, fields, netstring};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn read(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/captures")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn read_text(name: &str) -> String {
    String::from_utf8(read(name)).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// `auth 1; 1 sha1 labkey`
fn keyring(text: &str) -> Keyring {
    let (active, key) = text.strip_prefix("auth ").unwrap().split_once("; ").unwrap();
    let words: Vec<&str> = key.split(' ').collect();
    let method = match words[1] {
        "crc" => Method::Crc,
        "md5" => Method::Md5,
        "sha1" => Method::Sha1,
        other => panic!("method {other}"),
    };
    let key = Key::new(method, words.get(2).copied().unwrap_or("").into());
    Keyring {
        active: active.parse().unwrap(),
        keys: BTreeMap::from([(words[0].parse().unwrap(), key)]),
    }
}

/// One packet of `vectors.txt`: its lines `name = value` by name, its fields, its bytes.
struct Vector<'a> {
    title: &'a str,
    lines: BTreeMap<&'a str, &'a str>,
    fields: Vec<Field>,
    bytes: Vec<u8>,
}

impl<'a> Vector<'a> {
    fn parse(text: &'a str) -> Self {
        let (head, hex) = text.split_once("\nhex =\n").unwrap();
        let (title, head) = head.split_once('\n').unwrap();
        let mut vector = Vector {
            title,
            lines: BTreeMap::new(),
            fields: Vec::new(),
            bytes: unhex(hex),
        };
        for line in head.lines() {
            match line.split_once(" = ").unwrap() {
                ("field", field) => vector.fields.push(parse_field(field)),
                (name, value) => drop(vector.lines.insert(name, value)),
            }
        }
        vector
    }

    fn number(&self, name: &str) -> usize {
        self.lines[name].parse().unwrap()
    }
}

/// `(T) name = value`; binary values in hex.
fn parse_field(text: &str) -> Field {
    let (head, value) = text.split_once(" = ").unwrap();
    let (kind, name) = head.split_once(' ').unwrap();
    let value = match kind {
        "(0)" => Value::from(value),
        "(1)" => Value::Binary(unhex(value)),
        other => panic!("type {other}"),
    };
    Field {
        name: name.to_owned().into(),
        value,
    }
}

#[test]
fn recorded_packets_are_read_checked_and_written_the_same() {
    let text = read_text("vectors.txt");
    let vectors: Vec<Vector> = text.trim_end().split("\n\n").map(Vector::parse).collect();
    assert_eq!(vectors.len(), 39);
    for v in &vectors {
        let title = v.title;
        let keys = keyring(v.lines["authkeys"]);
        let token = v.lines["token"];
        assert_eq!(v.bytes.len(), v.number("length"), "{title}");

        let opened = auth::open(&v.bytes, &keys).unwrap_or_else(|e| panic!("{title}: {e}"));
        assert_eq!(opened.fields(), v.fields, "{title}");

        let mut with_auth = opened.clone();
        match v.lines["format"] {
            "netstring" => {
                let datagram = netstring::decode(&v.bytes).unwrap();
                assert_eq!(datagram.signed.len(), v.number("signed_length"), "{title}");
                assert_eq!(datagram.token, Some(token), "{title}");
                assert_eq!(keys.sign(datagram.signed).as_deref(), Some(token), "{title}");
                with_auth.push(fields::AUTH, v.lines["inner_auth"]);
                assert_eq!(datagram.message, with_auth, "{title}");
                assert_eq!(netstring::encode(&with_auth), datagram.signed, "{title}");
                let inner = classic::signed_part(&with_auth);
                assert_eq!(inner.len(), v.number("inner_signed_length"), "{title}");
                assert_eq!(keys.sign(&inner).as_deref(), Some(v.lines["inner_auth"]), "{title}");
                assert_eq!(auth::seal_netstring(&opened, &keys, true), v.bytes, "{title}");
            }
            "classic" => {
                with_auth.push(fields::AUTH, token);
                assert_eq!(classic::decode(&v.bytes), Ok(with_auth.clone()), "{title}");
                assert_eq!(classic::encode(&with_auth), v.bytes, "{title}");
                let signed = classic::signed_part(&with_auth);
                assert_eq!(signed.len(), v.number("signed_length"), "{title}");
                assert_eq!(keys.sign(&signed).as_deref(), Some(token), "{title}");
                assert_eq!(auth::seal_classic(&opened, &keys), v.bytes, "{title}");
            }
            other => panic!("{title}: format {other}"),
        }
    }
}

#[test]
fn recorded_serial_lines_are_read_checked_and_written_the_same() {
    let keys = keyring("auth 2; 2 md5 Hello!");
    for (name, src) in [("14-serial-classic-md5.a2b", "n1"), ("14-serial-classic-md5.b2a", "n2")] {
        let bytes = read(name);
        let expected = bytes.windows(4).filter(|w| w == b"<<<\n").count();
        // As a tty gives them: a few bytes at a time.
        let mut reader = StreamReader::default();
        let messages: Vec<Message> = bytes
            .chunks(17)
            .flat_map(|c| reader.push(c))
            .map(Result::unwrap)
            .collect();
        assert_eq!(messages.len(), expected, "{name}");
        let mut again = Vec::new();
        for message in &messages {
            let opened = auth::open(&classic::encode(message), &keys).unwrap();
            assert_eq!(opened.get(fields::SRC), Some(src), "{name}");
            again.extend(auth::seal_classic(&opened, &keys));
        }
        assert!(again == bytes, "{name}: not written as it was read");

        // A reader that starts in the middle of a message loses that one only.
        let late: Vec<_> = StreamReader::default().push(&bytes[100..]);
        assert_eq!(
            late.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
            messages[1..],
            "{name}"
        );
    }
}

/// The messages of the encode cases, by title.
fn message_of(title: &str) -> Message {
    let base = Message::new("test");
    let child = Message::default().with("a", "1");
    let list = [b"one".to_vec(), b"two,2".to_vec()];
    match title {
        "newline in a string" => base.with("multi", "line1\nline2"),
        "empty string" => base.with("empty", ""),
        "binary" => base.with("bin", Value::Binary(b"\x00\x01\n=,\xff".to_vec())),
        "child message" => base
            .with("child", Value::Struct(child.with("b", "two")))
            .with("z", "last"),
        "nested child" => {
            let inner = Value::Struct(Message::default().with("deep", "x"));
            base.with("child", Value::Struct(child.with("inner", inner)))
        }
        "list" => base.with("lst", Value::List(list.to_vec())),
        other => panic!("no message for the case {other:?}"),
    }
}

#[test]
fn messages_are_written_as_the_classic_library_writes_them() {
    let text = read_text("15-library-formats.txt");
    let cases: Vec<&str> = text.split("\n\n").filter(|part| part.starts_with("[encode ")).collect();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let mut lines = case.lines();
        let title = lines
            .next()
            .unwrap()
            .trim_start_matches("[encode ")
            .trim_end_matches(']');
        let hex = |name: &str| {
            let line = case.lines().find_map(|l| l.strip_prefix(name)).unwrap();
            unhex(line.trim_start_matches(" = "))
        };
        let message = message_of(title);
        assert_eq!(classic::encode(&message), hex("classic"), "{title}");
        assert_eq!(netstring::encode(&message), hex("netstring"), "{title}");
        assert_eq!(classic::decode(&hex("classic")), Ok(message.clone()), "{title}");
        assert_eq!(
            netstring::decode(&hex("netstring")).unwrap().message,
            message,
            "{title}"
        );
    }
}

/// Undoes `\n`, `\r`, `\t`, `\xHH` and `<508 times v>`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let times = rest
            .find(" times v>")
            .filter(|_| c == '<')
            .and_then(|at| rest[..at].parse().ok().map(|n| (at, n)));
        if let Some((at, n)) = times {
            let n: usize = n;
            out.extend(std::iter::repeat_n(b'v', n));
            rest = &rest[at + " times v>".len()..];
        } else if c == '\\' {
            let used = match rest.as_bytes()[0] {
                b'n' => (b'\n', 1),
                b'r' => (b'\r', 1),
                b't' => (b'\t', 1),
                b'x' => (u8::from_str_radix(&rest[1..3], 16).unwrap(), 3),
                other => panic!("escape {other}"),
            };
            out.push(used.0);
            rest = &rest[used.1..];
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    out
}

/// The lines `KIND BYTES -> RESULT`.
fn cases<'a>(text: &'a str, kind: &'a str) -> Vec<(&'a str, &'a str)> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(kind)?.strip_prefix("  "));
    lines
        .map(|line| line.split_once("->").unwrap())
        .map(|(bytes, result)| (bytes.trim(), result.trim()))
        .collect()
}

#[test]
fn datagrams_are_accepted_and_refused_as_by_the_classic_library() {
    let text = read_text("15-library-formats.txt");
    let cases = cases(&text, "parse ");
    assert_eq!(cases.len(), 13);
    for (bytes, result) in cases {
        let got = classic::decode(&unescape(bytes)).ok().map(|m| netstring::encode(&m));
        let expected = (result != "rejected").then(|| unescape(result));
        assert_eq!(got, expected, "{bytes}");
    }
}

/// The one deliberate difference: a line of more than 511 bytes spoils nothing.
#[test]
fn streams_are_read_as_by_the_classic_library_but_for_long_lines() {
    let text = read_text("15-library-formats.txt");
    let cases = cases(&text, "stream");
    assert_eq!(cases.len(), 7);
    for (bytes, result) in cases {
        let stream = unescape(bytes);
        let got: Vec<Message> = StreamReader::default().push(&stream).into_iter().flatten().collect();
        if result == "accepted" || bytes.contains("<509 times v>") {
            assert_eq!(got, [classic::decode(&stream).unwrap()], "{bytes}");
            continue;
        }
        let expected: Vec<Vec<u8>> = result.split(" ; ").filter(|r| *r != "nothing").map(unescape).collect();
        assert_eq!(
            got.iter().map(netstring::encode).collect::<Vec<_>>(),
            expected,
            "{bytes}"
        );
    }
}
