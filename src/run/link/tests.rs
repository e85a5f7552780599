use super::*;
use proptest::prelude::*;

#[test]
fn everything_said_reads_back() {
    let texts = Texts {
        ha_cf: "node a\n".into(),
        haresources: "a 10.0.0.1\n".into(),
        authkeys: "auth 1\n1 crc\n".into(),
    };
    let key: ResourceName = "10.0.0.1/24".parse().unwrap();
    let outcome = |exit| Outcome {
        exit,
        output: "Running OK\n\u{1}".into(),
        took: Duration::from_millis(5),
    };
    let to_core = [
        ToCore::Begin {
            texts: texts.clone(),
            me: "a".into(),
            uuid: [7; 16],
            generation: 9,
            seed: u64::MAX,
            resumed: Some(vec![key.clone()]),
            accounts: "user a 1\n".into(),
            remembered: NodeTexts {
                nodes: "n1\tuuid\n".into(),
                deleted: String::new(),
                peers: "n2\t5\t77\n".into(),
            },
        },
        ToCore::Begin {
            texts: texts.clone(),
            me: "a".into(),
            uuid: [0; 16],
            generation: 1,
            seed: 0,
            resumed: None,
            accounts: String::new(),
            remembered: NodeTexts::default(),
        },
        ToCore::Opened {
            medium: MediumId(3),
            what: "bcast".into(),
            to: Some("10.0.0.255:694".parse().unwrap()),
        },
        ToCore::Opened {
            medium: MediumId(0),
            what: String::new(),
            to: None,
        },
        ToCore::NotOpened {
            medium: MediumId(1),
            what: "bcast".into(),
            why: "interface eth9 does not exist".into(),
        },
        ToCore::Ended {
            job: JobId(1),
            outcome: outcome(Exit::Code(0)),
        },
        ToCore::Ended {
            job: JobId(1),
            outcome: outcome(Exit::Signal(9)),
        },
        ToCore::Ended {
            job: JobId(1),
            outcome: outcome(Exit::TimedOut),
        },
        ToCore::Ended {
            job: JobId(1),
            outcome: outcome(Exit::CannotRun("no such script".into())),
        },
        ToCore::Reload {
            texts: texts.clone(),
            accounts: "group b 2 3\n".into(),
        },
        ToCore::Renewed {
            number: 7,
            found: vec![
                ("10.0.0.1/24/eth0".into(), Found::Renewed),
                ("10.0.0.2".into(), Found::Gone),
                ("2001:db8::9/64".into(), Found::Permanent),
            ],
        },
        ToCore::Sighted {
            bytes: vec![0, 10, 255],
        },
        ToCore::Stop,
        ToCore::Debug { more: true },
        ToCore::Clients {
            clients: vec![ClientReport {
                user: "hacluster".into(),
                command: "/usr/lib/heartbeat/ipfail -x".into(),
                failfast: true,
                state: "given up".into(),
                pid: 0,
                since: Instant::from_millis(5),
                restarts: 11,
                last: "exited with return code 1".into(),
            }],
        },
        ToCore::Clients { clients: vec![] },
        ToCore::Scripts {
            types: vec!["status".into(), "x".into()],
        },
        ToCore::Watchdog,
        ToCore::End,
    ];
    for said in to_core {
        assert_eq!(ToCore::decode(&said.encode()), Some(said));
    }
    let resource = ResourceSpec {
        name: key.clone(),
        script: "IPaddr".into(),
        args: vec!["10.0.0.1/24".into()],
    };
    let to_master = [
        ToMaster::Ready {
            working: 1,
            broken: vec!["link eth9: gone".into()],
        },
        ToMaster::Open { medium: MediumId(0) },
        ToMaster::Run {
            job: JobId(4),
            command: Command {
                resource,
                verb: Verb::Start,
                limit: Duration::from_secs(300),
            },
        },
        ToMaster::Fence {
            job: JobId(5),
            command: FenceCommand {
                device: 1,
                title: "external/ssh (ha.cf:12)".into(),
                verb: FenceVerb::Reset,
                node: Some("web".parse().unwrap()),
                limit: Duration::from_secs(60),
            },
        },
        ToMaster::Fence {
            job: JobId(6),
            command: FenceCommand {
                device: 0,
                title: "fence_x (ha.cf:1)".into(),
                verb: FenceVerb::Hosts,
                node: None,
                limit: Duration::from_secs(20),
            },
        },
        ToMaster::Held { held: vec![key] },
        ToMaster::Renew {
            number: 7,
            at: Instant::from_millis(12_345),
            addresses: vec!["10.0.0.1/24/eth0".into(), "2001:db8::9".into()],
        },
        ToMaster::Drop {
            addresses: vec!["10.0.0.1/24/eth0".into(), "2001:db8::9".into()],
        },
        ToMaster::Held { held: vec![] },
        ToMaster::Lookout {
            bytes: vec![0, 10, 255],
        },
        ToMaster::Active,
        ToMaster::Notice {
            kind: "status".into(),
            fields: vec![("t".into(), "status".into()), ("info".into(), "a=b\n".into())],
        },
        ToMaster::Released,
        ToMaster::Wake {
            pair: "api/ipfail".into(),
            pid: 70,
            signal: 10,
        },
        ToMaster::Nodes {
            texts: NodeTexts {
                nodes: "n1\tuuid\n".into(),
                deleted: "n2\tuuid\n".into(),
                peers: "n2\t5\t77\n".into(),
            },
        },
        ToMaster::Stopped,
    ];
    for said in to_master {
        assert_eq!(ToMaster::decode(&said.encode()), Some(said));
    }
}

#[test]
fn an_order_reads_back() {
    let order = Order {
        user: "root".into(),
        program: "/bin/my prog".into(),
        command: "'/bin/my prog' \"a b\" >/dev/null".into(),
        env: vec![("HA_x".into(), "a=b c".into())],
    };
    assert_eq!(Order::decode(&order.encode()), Some(order));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = ToCore::decode(&bytes);
        let _ = ToMaster::decode(&bytes);
        let _ = Order::decode(&bytes);
    }
}
