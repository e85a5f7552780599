//! apache and Xinetd with the real servers; nginx as a script of init.d.

use super::{NODE, Script, bench};
use crate::cluster::{Cluster, Said, skipped};
use std::path::PathBuf;

fn is_installed(program: &str) -> bool {
    let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|d| PathBuf::from(d).join(program).exists());
    if !found {
        skipped(&format!("tests of resource scripts: {program} is not installed"));
    }
    found
}

/// A directory that a server without rights can read, which the node's own is not.
struct Pages(PathBuf);

impl Pages {
    fn new(index: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ha-pages-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("made");
        std::fs::write(dir.join("index.html"), index).expect("written");
        Self(dir)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn answer(c: &Cluster, port: u16) -> String {
    c.shell(
        NODE,
        &format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 2 127.0.0.1 {port}"),
    )
    .out
}

#[test]
fn apache_is_known_by_its_pid_file_and_serves() {
    if !is_installed("apache2") {
        return;
    }
    let Some(c) = bench("scripts-apache") else { return };
    let dir = c.lab.files(NODE).state();
    let pages = Pages::new("the page of apache\n");
    let file = dir.join("httpd.conf").display().to_string();
    let text = format!(
        "ServerRoot {d}\nServerName hello\nListen 127.0.0.1:8081\nPidFile {d}/made/httpd.pid\nErrorLog {d}/error.log\n\
         LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
         LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
         LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so\nDocumentRoot {p}\n",
        d = dir.display(),
        p = pages.0.display()
    );
    std::fs::write(&file, &text).expect("written");
    let script = Script::new(&c, &["apache", &file]);
    script.walk("Debian's apache2", || answer(&c, 8081).contains("the page of apache"));
    // A pid file of a machine that lost its power names somebody else now.
    c.shell(
        NODE,
        &format!("sleep 1000 >/dev/null 2>&1 & echo $! >{}/made/httpd.pid", dir.display()),
    )
    .good("written");
    assert!(!script.runs());
    script.good("stop");
    let pid = std::fs::read_to_string(dir.join("made/httpd.pid")).expect("a number");
    assert_eq!(
        c.shell(NODE, &format!("kill {}", pid.trim())).code,
        Some(0),
        "the sleeper lives"
    );
    // The server dies; its children are gone with the stop, too.
    script.good("start");
    c.wait("it serves", || answer(&c, 8081).contains("the page"));
    c.shell(NODE, &format!("kill -9 $(cat {}/made/httpd.pid)", dir.display()))
        .good("kill");
    c.wait("it is seen to be gone", || !script.runs());
    // A mistake in the file is told before anything is touched.
    std::fs::write(&file, text + "NoSuchDirective on\n").expect("written");
    let said = script.refuses("start", "the server does not accept it");
    assert!(said.err.contains("NoSuchDirective"), "{said:?}");
}

/// Runs words in the node with directories of its own in the place of the machine's.
fn with_own(c: &Cluster, place: &str, name: &str) -> PathBuf {
    let own = c.lab.files(NODE).state().join(name);
    std::fs::create_dir_all(&own).expect("made");
    c.shell(NODE, &format!("mount --bind {} {place}", own.display()))
        .good("mount");
    own
}

#[test]
fn xinetd_offers_a_service_only_where_the_group_is() {
    if !is_installed("xinetd") {
        return;
    }
    let Some(c) = bench("scripts-xinetd") else { return };
    let own = with_own(&c, "/etc/xinetd.d", "xinetd.d");
    let state = c.lab.files(NODE).state();
    let service = |name: &str, port: u16, disable: &str| {
        let text = format!(
            "service {name}\n{{\n\ttype\t\t= UNLISTED\n\tport\t\t= {port}\n\tsocket_type\t= stream\n\tprotocol\t= tcp\n\
             \twait\t\t= no\n\tuser\t\t= root\n\tserver\t\t= /bin/echo\n\tserver_args\t= this is {name}\n{disable}}}\n"
        );
        std::fs::write(own.join(name), text).expect("written");
    };
    service("wanted", 7001, "\tdisable\t\t= yes # here\n");
    service("other", 7002, "");
    std::fs::write(state.join("xinetd.conf"), "defaults\n{\n}\nincludedir /etc/xinetd.d\n").expect("written");
    let says = |port: u16| {
        c.shell(NODE, &format!("busybox nc -w 1 127.0.0.1 {port} </dev/null"))
            .out
    };
    let script = Script::new(&c, &["Xinetd", "wanted"]);
    assert!(!script.runs());
    script.refuses("start", "xinetd does not run");
    script.good("stop");
    let file = |name: &str| state.join(name).display().to_string();
    let _server = c.spawn(
        NODE,
        &[
            "xinetd",
            "-dontfork",
            "-f",
            &file("xinetd.conf"),
            "-pidfile",
            &file("xinetd.pid"),
        ],
    );
    c.wait("xinetd serves", || says(7002).contains("this is other"));
    script.walk("Debian's xinetd", || {
        // It reads its files again a moment after it is told.
        let file = std::fs::read_to_string(own.join("wanted")).expect("text");
        let wanted = file.contains("disable\t\t= no");
        c.wait("xinetd has read it", || says(7001).contains("this is wanted") == wanted);
        wanted
    });
    assert!(says(7002).contains("this is other"), "the others are not touched");
    // A file that says nothing about it is enabled; the stop says so, and nothing of it is lost.
    let other = Script::new(&c, &["Xinetd", "other"]);
    assert!(other.runs());
    other.good("stop");
    assert!(!other.runs());
    other.good("start");
    c.wait("it is offered again", || says(7002).contains("this is other"));
}

fn nginx_conf(c: &Cluster, node: &str) -> String {
    let dir = c.lab.files(node).state();
    std::fs::write(dir.join("index.html"), format!("the page of nginx on {node}\n")).expect("written");
    format!(
        "pid {d}/nginx.pid;\nerror_log {d}/nginx-error.log;\nuser root;\nevents {{ worker_connections 16; }}\n\
         http {{ access_log off; client_body_temp_path {d}/t1; proxy_temp_path {d}/t2; fastcgi_temp_path {d}/t3;\n\
         uwsgi_temp_path {d}/t4; scgi_temp_path {d}/t5; server {{ listen 8082; root {d}; }} }}\n",
        d = dir.display()
    )
}

/// Puts a configuration of its own in the place of the machine's nginx.conf on a node.
pub fn own_nginx(c: &Cluster, node: &str) -> Option<()> {
    if !is_installed("nginx") {
        return None;
    }
    let file = c.lab.files(node).state().join("nginx.conf");
    std::fs::write(&file, nginx_conf(c, node)).expect("written");
    c.shell(node, &format!("mount --bind {} /etc/nginx/nginx.conf", file.display()))
        .good("mount");
    Some(())
}

/// "Any script of /etc/init.d": Debian's own of nginx, as it is.
#[test]
fn a_script_of_init_d_is_a_resource() {
    let Some(c) = bench("scripts-initd") else { return };
    if own_nginx(&c, NODE).is_none() {
        return;
    }
    let path = c.lab.files(NODE).init_d().join("nginx").display().to_string();
    let run = |verb: &str| -> Said { c.run(NODE, &[&path, verb]) };
    let runs = || {
        let said = run("status");
        ha::groups::group::says_running(&format!("{}{}", said.out, said.err))
    };
    let serves = || answer(&c, 8082).contains("the page of nginx");
    assert!(!runs() && !serves());
    let began = std::time::Instant::now();
    run("start").good("start");
    let start = began.elapsed().as_secs_f64();
    c.wait("nginx serves", serves);
    assert!(runs());
    run("start").good("start");
    let began = std::time::Instant::now();
    run("stop").good("stop");
    let stop = began.elapsed().as_secs_f64();
    assert!(!runs() && !serves());
    run("stop").good("stop");
    super::note("/etc/init.d/NAME", "Debian's script of nginx", start, stop);
}
