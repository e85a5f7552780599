//! The parts of this program's file that are read only when it is loaded, and those that are read only when a panic unwinds
//! the stack. In a daemon that ends at once when it panics neither need be in memory: they are a quarter of the program.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// By name, as linkers write them.
const LOADING: [&str; 2] = [".rela.dyn", ".rela.plt"];
const UNWINDING: [&str; 3] = [".eh_frame", ".eh_frame_hdr", ".gcc_except_table"];

/// `Elf64_Ehdr` and `Elf64_Shdr` of elf(5): their sizes, and where the fields are that we read.
const HEADER: usize = 64;
const SECTION: usize = 64;
/// More sections than any linker makes; a table of names is far smaller.
const MOST_SECTIONS: usize = 1024;
const LONGEST_NAMES: usize = 1 << 20;

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let mut little = [0; 8];
    little[..length].copy_from_slice(bytes.get(at..at + length)?);
    Some(u64::from_le_bytes(little))
}

/// Where in the file they are. Empty for a file without a list of sections, and for what is not built as ours is on the
/// machines of today: 64 bits, the lowest byte first.
pub fn idle() -> Vec<Range<u64>> {
    let found = File::open("/proc/self/exe").and_then(|file| of(&file));
    found.unwrap_or_default()
}

fn of(file: &File) -> io::Result<Vec<Range<u64>>> {
    let none = || io::Error::from(io::ErrorKind::InvalidData);
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(none());
    }
    let field = |at, length| number(&header, at, length).ok_or_else(none);
    let (at, size, count, names) = (field(40, 8)?, field(58, 2)?, field(60, 2)?, field(62, 2)?);
    let (count, names) = (count as usize, names as usize);
    if size as usize != SECTION || count > MOST_SECTIONS || names >= count {
        return Err(none());
    }
    let mut table = vec![0; count * SECTION];
    file.read_exact_at(&mut table, at)?;
    let sections: Vec<&[u8]> = table.chunks_exact(SECTION).collect();
    let place =
        |section: &[u8]| Some(number(section, 24, 8)?..number(section, 24, 8)?.checked_add(number(section, 32, 8)?)?);
    let names = place(sections[names]).ok_or_else(none)?;
    let length = usize::try_from(names.end - names.start).unwrap_or(usize::MAX);
    if length > LONGEST_NAMES {
        return Err(none());
    }
    let mut text = vec![0; length];
    file.read_exact_at(&mut text, names.start)?;
    let is_idle = |section: &&&[u8]| {
        let name = number(section, 0, 4).and_then(|at| text.get(at as usize..));
        let name = name.and_then(|n| n.split(|b| *b == 0).next()).unwrap_or_default();
        LOADING.iter().chain(&UNWINDING).any(|idle| idle.as_bytes() == name)
    };
    Ok(sections.iter().filter(is_idle).filter_map(|s| place(s)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_this_program_are_found_and_nothing_else() {
        let idle = idle();
        assert!(idle.len() >= 2, "{idle:?}");
        let length = std::fs::metadata("/proc/self/exe").unwrap().len();
        assert!(idle.iter().all(|r| r.start < r.end && r.end <= length), "{idle:?}");
        // Code and constants are used: where they are is looked up by what /proc/self/maps says of two of them.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        for used in [of as *const () as usize, LOADING[0].as_ptr() as usize] {
            let at = maps.lines().find_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let (from, to) = words.next()?.split_once('-')?;
                let hex = |text| usize::from_str_radix(text, 16).ok();
                let offset = hex(words.nth(1)?)?;
                (hex(from)? <= used && used < hex(to)?).then_some(used - hex(from)? + offset)
            });
            let at = at.expect("it is in the program") as u64;
            assert!(!idle.iter().any(|r| r.contains(&at)), "{at:x} {idle:x?}");
        }
    }

    #[test]
    fn what_is_no_such_program_has_none() {
        let path = std::env::temp_dir().join(format!("ha-sections-{}", std::process::id()));
        let mut short = b"\x7fELF\x02\x01".to_vec();
        let mut far = [&short[..], &[0xff; 100]].concat();
        let mut no_sections = short.clone();
        short.resize(HEADER - 1, 0);
        no_sections.resize(HEADER, 0);
        far.truncate(HEADER + 10);
        for bytes in [&b"#!/bin/sh\n"[..], &short, &no_sections, &far] {
            std::fs::write(&path, bytes).unwrap();
            let found = of(&File::open(&path).unwrap());
            assert!(found.is_err(), "{bytes:?} {found:?}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
