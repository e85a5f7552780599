//! Every shell script of the source: POSIX shell or bash, without what shellcheck finds wrong in it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `dir` that begin as a shell script, or say to shellcheck that they are a part of one.
fn scripts(dir: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root().join(dir)).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let first = text.lines().next().unwrap_or("");
        if first.starts_with("#!/bin/sh")
            || first.starts_with("#!/bin/bash")
            || first.starts_with("# shellcheck shell=")
        {
            found.push(path);
        }
    }
}

#[test]
fn shellcheck_finds_nothing() {
    if Command::new("shellcheck").arg("--version").output().is_err() {
        println!("SKIPPED: shellcheck_finds_nothing: shellcheck is not installed");
        return;
    }
    let mut all = Vec::new();
    for dir in [
        "ha.d",
        "ha.d/rc.d",
        "ha.d/resource.d",
        "ha.d/ocf",
        "init",
        "init/deb",
        ".ci",
        "tests",
        "tests/interop",
        "tests/vm",
        "tests/vm/guest",
    ] {
        scripts(dir, &mut all);
    }
    assert!(all.len() > 25, "{all:?}");
    let output = Command::new("shellcheck")
        .args(["--external-sources", "--source-path=SCRIPTDIR", "--severity=warning"])
        .args(&all)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A name that only bash or dash knows would be found by the first site with another shell. busybox is such a one.
#[test]
fn every_resource_script_is_read_by_other_shells() {
    let mut all = Vec::new();
    scripts("ha.d/resource.d", &mut all);
    for shell in [
        &["dash", "-n"][..],
        &["bash", "--posix", "-n"],
        &["busybox", "sh", "-n"],
    ] {
        if Command::new(shell[0]).arg("--help").output().is_err() {
            println!(
                "SKIPPED: every_resource_script_is_read_by_other_shells: {} is not installed",
                shell[0]
            );
            continue;
        }
        for script in &all {
            let output = Command::new(shell[0]).args(&shell[1..]).arg(script).output().unwrap();
            assert!(output.status.success(), "{shell:?} {}: {output:?}", script.display());
        }
    }
}
