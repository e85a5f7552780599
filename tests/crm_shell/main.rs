//! The shell `crm` on a file: commands of their own, files of them, and a conversation on a terminal. The agents are small
//! scripts of the tests, so that the outcome does not hang on what is installed.

mod commands;
mod conversation;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Two nodes; `compute-1` runs a resource that is called `busy`.
const CIB: &str = r#"<cib epoch="1" num_updates="0" admin_epoch="0" validate-with="pacemaker-1.2" crm_feature_set="3.16.1" have-quorum="1" dc-uuid="u1">
  <configuration>
    <crm_config/>
    <nodes><node id="u1" uname="compute-1"/><node id="u2" uname="compute-2"/></nodes>
    <resources><primitive id="busy" class="lsb" type="apache2"/></resources>
    <constraints/>
  </configuration>
  <status>
    <node_state id="u1" uname="compute-1" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="u1"><lrm_resources>
      <lrm_resource id="busy" type="apache2" class="lsb"><lrm_rsc_op id="busy_last_0" operation_key="busy_start_0" operation="start" interval="0" call-id="2" rc-code="0" op-status="0" transition-key="1:1:0:x" transition-magic="0:0;1:1:0:x" last-rc-change="1795248944" op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/></lrm_resource>
    </lrm_resources></lrm></node_state>
    <node_state id="u2" uname="compute-2" in_ccm="false" crmd="offline" join="down" expected="down"/>
  </status>
</cib>
"#;

const AGENT: &str = r#"#!/bin/sh
[ "$1" = meta-data ] || exit 3
cat <<END
<?xml version="1.0"?>
<resource-agent name="$OCF_RESOURCE_TYPE" version="1.0">
<version>1.0</version>
<longdesc lang="en">An address.</longdesc>
<shortdesc lang="en">Sets an address</shortdesc>
<parameters>
<parameter name="ip" unique="1" required="1"><longdesc lang="en">The address.</longdesc><shortdesc lang="en">Address</shortdesc><content type="string"/></parameter>
<parameter name="nic"><longdesc lang="en">Where.</longdesc><shortdesc lang="en">Interface</shortdesc><content type="string" default="eth0"/></parameter>
</parameters>
<actions><action name="start" timeout="20s"/><action name="monitor" timeout="20s" interval="10s" depth="0"/><action name="meta-data" timeout="5s"/></actions>
</resource-agent>
END
"#;

/// A machine with two agents, a CIB in a file, and nothing else; gone with its owner.
struct Bed {
    dir: PathBuf,
}

/// What a run of the shell printed, and ended with.
#[derive(Debug)]
struct Ran {
    out: String,
    err: String,
    code: i32,
}

impl Bed {
    fn new(name: &str) -> Self {
        // Every change is synced: in memory that costs nothing.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let dir = folder.join(format!("ha-crm-shell-{}-{name}", std::process::id()));
        let bed = Self { dir };
        bed.program("ocf/resource.d/heartbeat/IPaddr2", AGENT);
        bed.program("ocf/resource.d/heartbeat/IPaddr", AGENT);
        bed.program("ocf/resource.d/heartbeat/ocf-shellfuncs", "");
        for script in ["apache2", "nova-network", "httpd"] {
            bed.program(
                &format!("init.d/{script}"),
                "#!/bin/sh\n### BEGIN INIT INFO\n# Short-Description: A service\n### END INIT INFO\n",
            );
        }
        bed.program("ha.d/resource.d/IPaddr", "#!/bin/sh\n");
        bed.program("ha.d/resource.d/drbddisk", "#!/bin/sh\n");
        std::fs::write(bed.cib(), CIB).unwrap();
        bed
    }

    fn program(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn cib(&self) -> PathBuf {
        self.dir.join("cib.xml")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.cib()).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crm"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.dir)
            .env("TERM", "vt100")
            .env("CIB_file", self.cib())
            .env("CIB_shadow_dir", &self.dir)
            .env("OCF_ROOT", self.dir.join("ocf"))
            .env("HA_DIR", self.dir.join("ha.d"))
            .env("HA_INITDIR", self.dir.join("init.d"))
            .env("HA_STONITHDIR", self.dir.join("stonith"))
            .env("HA_FENCEDIR", self.dir.join("fence"))
            .env("HA_VARLIB", self.dir.join("state"));
        command
    }

    fn crm(&self, words: &[&str]) -> Ran {
        self.fed(words, "")
    }

    /// The same with a text on standard input.
    fn fed(&self, words: &[&str], text: &str) -> Ran {
        let input = self.dir.join("input");
        std::fs::write(&input, text).unwrap();
        let output = self
            .command()
            .args(words)
            .stdin(Stdio::from(std::fs::File::open(input).unwrap()))
            .output()
            .unwrap();
        Ran {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap(),
        }
    }

    /// A command that must go well; what it printed.
    fn well(&self, words: &[&str]) -> String {
        let ran = self.crm(words);
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran.out
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
