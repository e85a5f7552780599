//! The inputs of `tests/fuzz/corpus`, given to the fuzz targets once more: what was found and mended stays mended, also
//! where libFuzzer is not built. `tests/fuzz/run` looks for new ones.

#[path = "fuzz/targets/mod.rs"]
mod targets;

use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = folder().join("corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn every_target_takes_every_input_of_its_corpus_and_each_input_cut_short() {
    for (name, target) in targets::ALL {
        let inputs = inputs(name);
        assert!(inputs.len() >= 2, "{name}: a corpus of {} inputs", inputs.len());
        for (path, bytes) in inputs {
            // libtest shows what was written before a panic.
            eprintln!("{}", path.display());
            target(&bytes);
            for part in 1..4 {
                target(&bytes[..bytes.len() * part / 4]);
            }
        }
    }
}

#[test]
fn every_target_has_a_program() {
    let text = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for (name, _) in targets::ALL {
        assert!(
            text.contains(&format!("path = \"bin/{name}.rs\"")),
            "{name}: not in Cargo.toml"
        );
        let program = std::fs::read_to_string(folder().join(format!("bin/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("targets::{name}(data)")), "{name}: {program}");
    }
    let programs = std::fs::read_dir(folder().join("bin")).unwrap().count();
    assert_eq!(programs, targets::ALL.len());
}
