//! Where a resource script is: the first executable file of that name in `resource.d`, then in `init.d`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The first place that has an executable file called `script` (a symbolic link to one counts), or the sentence that
/// says where was looked.
pub fn find(places: &[PathBuf], script: &str) -> Result<PathBuf, String> {
    if script.contains('/') || script.starts_with('.') || script.is_empty() {
        return Err(format!(
            "\"{script}\" is not the name of a script: write it without a path"
        ));
    }
    let mut not_executable = None;
    for place in places {
        let path = place.join(script);
        match std::fs::metadata(&path) {
            Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => return Ok(path),
            Ok(file) if file.is_file() => not_executable = not_executable.or(Some(path)),
            Ok(_) | Err(_) => {}
        }
    }
    Err(match not_executable {
        Some(path) => format!("{} is not executable (chmod 755 it)", path.display()),
        None => format!("cannot locate resource script {script} in {}", list(places)),
    })
}

fn list(places: &[PathBuf]) -> String {
    let names: Vec<String> = places.iter().map(|p| Path::display(p).to_string()).collect();
    names.join(" or ")
}
