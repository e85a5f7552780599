//! A service that dies while its machine lives: nginx, looked after by hb_monitor.

use crate::bed::{ADDRESS, BOUND, Bed, NODES, well};
use crate::figures::Figures;
use crate::tcp::HTTP;
use ha::lab::Lab;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

pub const TITLE: &str = "hb_monitor and nginx";
pub const LAB: &str = "monitor";
const NGINX: &str = "/usr/sbin/nginx";
/// Of the check, and what is wanted beside it.
const INTERVAL: f64 = 500.0;
const REACTION: f64 = 200.0;

pub fn is_possible() -> bool {
    Path::new(NGINX).exists()
}

pub fn bed(what: &str) -> Result<Bed, String> {
    Bed::of(what, "respawn root /usr/lib/heartbeat/hb_monitor\n", HTTP, script)
}

/// nginx by a script as administrators write them.
fn script(lab: &Lab, node: &str) -> String {
    let run = lab.files(node).run();
    let run = run.display();
    format!(
        r#"#!/bin/sh
pidfile={run}/nginx.pid
conf={run}/nginx.conf
runs() {{ [ -s $pidfile ] && kill -0 "$(cat $pidfile)" 2>/dev/null; }}
case $1 in
start)
	runs && exit 0
	cat >$conf <<-END
		user root; worker_processes 1; pid $pidfile; events {{ }}
		http {{
			access_log off; client_body_temp_path {run}/1; proxy_temp_path {run}/2; fastcgi_temp_path {run}/3;
			uwsgi_temp_path {run}/4; scgi_temp_path {run}/5;
			server {{ listen 80 reuseport; location / {{ return 200 {node}; }} }}
		}}
		$(cat {run}/broken 2>/dev/null)
	END
	exec {NGINX} -e {run}/nginx.log -c $conf ;;
stop)
	if runs; then kill "$(cat $pidfile)"; fi
	while runs; do sleep 0.01; done ;;
status)
	if runs; then echo running; else echo stopped; exit 3; fi ;;
esac
"#
    )
}

pub fn run(bed: &Bed, out: &mut Figures) -> Result<(), String> {
    bed.reboot()?;
    let said = |what: &'static str| move |e: io::Error| format!("{what}: {e}");
    for node in NODES {
        let lines = format!(
            "{ADDRESS} http every=500ms timeout=2s http://{ADDRESS}/\n{ADDRESS} repair restarts=100 grace=100ms\n"
        );
        bed.lab.write(node, "ha.d/monitors", &lines).map_err(said("monitors"))?;
    }
    let since = bed.rest();
    for node in NODES {
        bed.lab.start(node).and_then(well).map_err(said("start"))?;
    }
    bed.settled_on("start", "node1", since)?;
    bed.served_by("start", "node1", since)?;
    let active = || {
        let asked = bed.lab.exec("node1", &["cl_status", "nodestatus", "node2"]);
        asked.is_ok_and(|o| o.stdout.starts_with(b"active"))
    };
    bed.lab.wait_for("node2 is a member", BOUND, active)?;

    // At any moment of the interval.
    let since = bed.rest();
    kill(&bed.lab).map_err(said("kill"))?;
    answers_again(bed, "kill -9 of nginx", "node1", since)?;
    let wanted = Some(INTERVAL + REACTION);
    let title = "nginx killed, restarted in place: service";
    out.add("repair_tcp", title, wanted, bed.seen(since).service);

    bed.rest();
    let broken = bed.lab.files("node1").run().join("broken");
    std::fs::write(&broken, "nonsense;\n").map_err(said("broken"))?;
    let since = bed.rest();
    kill(&bed.lab).map_err(said("kill"))?;
    answers_again(bed, "nginx that cannot start", "node2", since)?;
    let seen = bed.seen(since);
    let title = "nginx killed and unstartable, the other node serves: service";
    out.add("repair_moved_tcp", title, wanted, seen.service);
    out.add("repair_moved_two", "the same: two owners", Some(0.0), seen.two_owners);

    std::fs::remove_file(&broken).map_err(said("mended"))?;
    // What the scripts take by themselves, as the lab runs them.
    bed.rest();
    let script = bed.lab.files("node1").ha_d().join("resource.d/hello");
    let began = Instant::now();
    let start = bed.lab.exec("node1", &[&script.to_string_lossy(), "start"]);
    start.and_then(well).map_err(said("start of nginx"))?;
    out.add(
        "nginx_start",
        "start of nginx by hand",
        None,
        began.elapsed().as_secs_f64() * 1000.0,
    );
    let stop = bed.lab.exec("node1", &[&script.to_string_lossy(), "stop"]);
    stop.and_then(well).map_err(said("stop of nginx")).map(drop)
}

/// All processes of nginx on node1: workers that outlive their master keep the port.
fn kill(lab: &Lab) -> io::Result<()> {
    let pidfile = lab.files("node1").run().join("nginx.pid");
    let line = format!("kill -9 -$(cat {})", pidfile.display());
    lab.exec("node1", &["sh", "-c", &line]).and_then(well).map(drop)
}

/// The service was away, and answers again.
fn answers_again(bed: &Bed, what: &str, node: &str, since: u64) -> Result<(), String> {
    bed.lab
        .wait_for(&format!("{what}: it is away"), BOUND, || bed.seen(since).service > 0.0)?;
    bed.served_by(what, node, since)?;
    // The last gap of a machine that is busy is over.
    thread::sleep(Duration::from_millis(300));
    bed.served_by(what, node, since)
}
