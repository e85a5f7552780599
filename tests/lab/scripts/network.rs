//! Scripts of the network: blocked ports, tickled clients, the source address.

use super::{NODE, Script, bench, put};
use crate::cluster::Cluster;
use ha::lab::CLIENT;

/// A service on port 8080 that says who it is connected with, and then what it is told.
fn serve(c: &Cluster, node: &str) -> ha::lab::Inside {
    let text = "#!/bin/sh\nss -Htn state connected 'sport = :8080' | awk '{ print \"from \" $NF }'\nexec cat\n";
    put(c, node, "served", text);
    let program = c.lab.files(node).ha_d().parent().expect("its directory").join("served");
    let server = c.spawn(
        node,
        &[
            "busybox",
            "nc",
            "-ll",
            "-p",
            "8080",
            "-e",
            &program.display().to_string(),
        ],
    );
    c.wait("it serves", || {
        c.shell(node, "echo | busybox nc -w 2 127.0.0.1 8080")
            .out
            .contains("from")
    });
    server
}

fn address_of(c: &Cluster, node: &str) -> String {
    let line = c
        .shell(node, "ip -o -4 addr show dev eth0 | awk '{ print $4; exit }'")
        .good("ip addr");
    line.trim().split('/').next().expect("an address").to_owned()
}

fn reaches(c: &Cluster, address: &str) -> bool {
    c.shell(CLIENT, &format!("echo | busybox nc -w 1 {address} 8080"))
        .out
        .contains("from")
}

#[test]
fn portblock_keeps_clients_out_until_the_service_is_there() {
    for with in ["iptables", "nft"] {
        let Some(c) = bench(&format!("scripts-block-{with}")) else {
            return;
        };
        let _server = serve(&c, NODE);
        let address = address_of(&c, NODE);
        let run = |action: &str, verb: &str| {
            let script = Script::new(&c, &["portblock", "tcp", "80,8080", action]);
            let variable = format!("HA_PORTBLOCK={with}");
            let mut all = vec!["env", &variable];
            all.extend(script.words.iter().map(String::as_str));
            all.push(verb);
            let began = std::time::Instant::now();
            let said = c.run(NODE, &all);
            if verb != "status" {
                assert_eq!(said.code, Some(0), "{with} {action} {verb}: {said:?}");
            }
            (said, began.elapsed().as_secs_f64())
        };
        let status = |action: &str| run(action, "status").0.code;
        assert!(reaches(&c, &address));
        assert_eq!((status("block"), status("unblock")), (Some(7), Some(7)));
        // The order of a group: block ADDRESS SERVICE unblock.
        let (_, start) = run("block", "start");
        assert_eq!((status("block"), status("unblock")), (Some(0), Some(7)));
        assert!(!reaches(&c, &address), "{with}: blocked");
        run("block", "start");
        run("unblock", "start");
        assert_eq!((status("block"), status("unblock")), (Some(0), Some(0)));
        assert!(reaches(&c, &address), "{with}: open again");
        run("unblock", "start");
        run("unblock", "stop");
        assert_eq!((status("block"), status("unblock")), (Some(0), Some(7)));
        assert!(!reaches(&c, &address), "{with}: blocked while the service stops");
        run("unblock", "stop");
        let (_, stop) = run("block", "stop");
        assert_eq!((status("block"), status("unblock")), (Some(7), Some(7)));
        assert!(reaches(&c, &address), "{with}: nothing is left behind");
        run("block", "stop");
        let rules = c.shell(NODE, "iptables -S INPUT; nft list tables").out;
        assert!(
            !rules.contains("DROP") && !rules.contains("heartbeat_portblock"),
            "{rules}"
        );
        super::note("portblock", with, start, stop);
    }
}

#[test]
fn portblock_blocks_one_address_and_both_families() {
    let Some(c) = bench("scripts-block-one") else { return };
    let _server = serve(&c, NODE);
    let address = address_of(&c, NODE);
    c.shell(NODE, "ip addr add 10.77.0.150/24 dev eth0").good("ip addr");
    for with in ["iptables", "nft"] {
        let words = ["portblock", "tcp", "8000:8100", "block", "10.77.0.150"];
        let script = Script::new(&c, &words);
        let run = |verb: &str| {
            let variable = format!("HA_PORTBLOCK={with}");
            let mut all = vec!["env", &variable];
            all.extend(script.words.iter().map(String::as_str));
            all.push(verb);
            c.run(NODE, &all).good(verb)
        };
        run("start");
        assert_eq!(
            (reaches(&c, "10.77.0.150"), reaches(&c, &address)),
            (false, true),
            "{with}"
        );
        run("stop");
        assert!(reaches(&c, "10.77.0.150"), "{with}");
    }
}

/// The client hangs on the connection to the node that lost the address; told, it finds out at once.
#[test]
fn a_client_of_the_lost_node_is_told_that_its_connection_is_gone() {
    for (address, take, drop) in [
        (
            "10.77.0.150",
            "ip addr add 10.77.0.150/24 dev eth0",
            "ip addr del 10.77.0.150/24 dev eth0",
        ),
        (
            "fd99::200",
            "ip -6 addr add fd99::200/64 dev eth0 nodad",
            "ip -6 addr del fd99::200/64 dev eth0",
        ),
    ] {
        let Some(c) = bench(&format!("scripts-tickle-{}", address.len())) else {
            return;
        };
        if address.contains(':') {
            c.shell(CLIENT, "ip -6 addr replace fd99::1/64 dev eth0 nodad")
                .good("ip addr");
            c.shell("web", "ip -6 addr replace fd99::2/64 dev eth0 nodad")
                .good("ip addr");
        }
        c.shell(NODE, take).good("ip addr");
        let _servers = [serve(&c, NODE), serve(&c, "web")];
        let said = c.lab.files(NODE).state().join("client-said");
        let gone = c.lab.files(NODE).state().join("client-gone");
        // Tries until the server is there; then waits for a word that never comes.
        let client = format!(
            "while ! grep -q from {said}; do tail -f /dev/null | busybox nc {address} 8080 >>{said}; sleep 0.1; done; : >{gone}",
            said = said.display(),
            gone = gone.display()
        );
        std::fs::write(&said, "").expect("written");
        let _client = c.spawn(CLIENT, &["sh", "-c", &client]);
        c.wait("the client is connected", || {
            std::fs::read_to_string(&said).is_ok_and(|t| t.contains("from"))
        });
        let shared = c.lab.files(NODE).state().join("connections");
        std::fs::create_dir_all(&shared).expect("made");
        let shared = shared.display().to_string();
        let words = ["portblock", "tcp", "8080", "unblock", address, shared.as_str()];
        let (here, there) = (Script::on(&c, NODE, &words), Script::on(&c, "web", &words));
        here.good("start");
        assert!(here.runs(), "and notes who is connected");
        let noted: String = std::fs::read_dir(&shared)
            .expect("a directory")
            .map(|f| std::fs::read_to_string(f.expect("a file").path()).expect("text"))
            .collect();
        assert_eq!(noted.lines().count(), 1, "{noted}");
        assert!(noted.contains(address), "{noted}");
        // The node dies, as far as the client can see.
        c.shell(NODE, drop).good("ip addr");
        c.shell("web", take).good("ip addr");
        c.run("web", &["send_arp", "eth0", address, "auto", "-", "-"])
            .good("send_arp");
        assert!(!gone.exists(), "the client knows of nothing");
        there.good("start");
        c.wait("the client has noticed", || gone.exists());
        assert!(there.runs());
    }
}

#[test]
fn ipsrcaddr_is_what_others_see_and_leaves_the_routes_as_they_were() {
    let Some(c) = bench("scripts-source") else { return };
    let client = address_of(&c, CLIENT);
    let _server = serve(&c, CLIENT);
    c.shell(
        NODE,
        &format!("ip addr add 10.77.0.150/24 dev eth0; ip route replace default via {client} dev eth0"),
    )
    .good("ip");
    let before = c.shell(NODE, "ip route show").good("ip route");
    let seen = || {
        c.shell(NODE, &format!("echo | busybox nc -w 2 {client} 8080"))
            .out
            .contains("10.77.0.150")
    };
    let chosen = || {
        c.shell(NODE, "ip route get 198.51.100.1")
            .out
            .contains("src 10.77.0.150")
    };
    let script = Script::new(&c, &["IPsrcaddr", "10.77.0.150"]);
    script.walk("the routes of a node", || {
        assert_eq!(seen(), chosen());
        seen()
    });
    assert_eq!(c.shell(NODE, "ip route show").good("ip route"), before);
    // Somebody has lost the note of how it was.
    script.good("start");
    c.shell(NODE, "rm -f $HA_RUN/heartbeat/rsctmp/IPsrcaddr*").good("rm");
    script.good("stop");
    assert!(!script.runs() && !seen() && !chosen());
    // Without a default route there is nothing to change.
    c.shell(NODE, "ip route del default").good("ip route");
    script.refuses("start", "no default route leads over its interface eth0");
}

#[test]
fn addresses_are_set_and_removed() {
    let Some(c) = bench("scripts-addresses") else { return };
    #[rustfmt::skip]
    let table = [
        ("IPaddr",   "10.77.0.150",                      "10.77.0.150"),
        ("IPaddr2",  "10.77.0.150/24/eth0/10.77.0.255",  "10.77.0.150"),
        ("IPv6addr", "fd77:0:0:0:0:0:0:150/64/eth0",     "fd77::150"),
    ];
    for (name, word, shown) in table {
        Script::new(&c, &[name, word]).walk("an interface of a node", || {
            c.shell(NODE, "ip -o addr").out.contains(&format!("{shown}/"))
        });
    }
}
