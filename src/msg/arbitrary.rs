//! For the property tests: random messages, and bytes that are nearly one.

use super::{Message, Value};
use proptest::prelude::*;

fn build(fields: Vec<(String, Value)>) -> Message {
    let mut message = Message::default();
    for (name, value) in fields {
        message.push(name, value);
    }
    message
}

/// Text of printable and other characters; none that classic text takes for its own ends.
fn classic_text() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => b' '..=b'~', 1 => Just(b'\n'), 1 => Just(b'\t'), 1 => 0x7f..=0xffu8];
    prop::collection::vec(byte, 0..30)
}

/// Any text a message can hold.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1..=0xffu8, 0..30)
}

fn messages<T: Strategy<Value = Vec<u8>> + 'static>(text: fn() -> T) -> impl Strategy<Value = Message> {
    let leaf = prop_oneof![
        4 => text().prop_map(|t| Value::Text(t.into())),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Binary),
        1 => prop::collection::vec(text(), 0..4).prop_map(Value::List),
    ];
    let name = "[a-zA-Z_ é][a-zA-Z0-9_() .é]{0,10}".prop_filter("auth is not an ordinary name", |n| n != "auth");
    let value = leaf.prop_recursive(6, 40, 6, {
        let name = name.clone();
        move |inner| prop::collection::vec((name.clone(), inner), 0..6).prop_map(|f| Value::Struct(build(f)))
    });
    prop::collection::vec((name, value), 0..8).prop_map(build)
}

/// A message that netstrings carry unchanged.
pub fn message() -> impl Strategy<Value = Message> {
    messages(any_text)
}

/// A message that classic text carries unchanged.
pub fn classic_message() -> impl Strategy<Value = Message> {
    messages(classic_text)
}

/// A message with `levels` levels of children.
pub fn nested(levels: usize) -> Message {
    (0..levels).fold(Message::new("innermost"), |child, _| {
        Message::new("m")
            .with("text", "a\nb")
            .with("child", Value::Struct(child))
    })
}

/// Random bytes, and random sequences of the pieces classic text is made of.
pub fn almost_classic() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b">>>\n",
        b"<<<\n",
        b"\n",
        b"t=a\n",
        b"x=1=2\n",
        b"(1)b=AA==\n",
        b"(2)c=",
        b">>>\x14",
        b"<<<\x14",
        b">>>\x15",
        b"<<<\x15",
        b"y=2\x14",
        b"(2)d=",
        b"(3)l=1:a,\n",
        b"(0)",
        b"=",
        b"\0",
        b"\x13",
        b"auth=1 00\n",
        b"\xff",
    ];
    almost(pieces)
}

/// The same for netstrings.
pub fn almost_netstring() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"###\n",
        b"%%%\n",
        b"6:(0)t=a,",
        b"6:(1)b=\0,",
        b"8:(3)l=1:a,,",
        b"14:(2)c=###\n%%%\n,",
        b"20:(2)c=",
        b"9:",
        b",",
        b"(0)",
        b"=",
        b"4:1 00,",
        b"999999:",
        b"\0",
        b"\xff",
        b"%%",
    ];
    almost(pieces)
}

fn almost(pieces: Vec<&'static [u8]>) -> impl Strategy<Value = Vec<u8>> {
    let start = pieces[0];
    let joined = prop::collection::vec(prop::sample::select(pieces), 0..20).prop_map(|p| p.concat());
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..200),
        4 => joined.clone(),
        4 => joined.prop_map(move |rest| [start, &rest].concat()),
    ]
}
