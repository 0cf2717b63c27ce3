//! On which stage is the CNI plugin called, and how?

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ipvl_testbed::{Lab, wait_until};
use serde_json::{Value, json};

/// For what must happen soon; only a failing test waits this long.
pub const SOON: Duration = Duration::from_secs(20);

/// A lab, and a folder with IPAM plugins for it.
pub struct Stage {
    pub lab: Lab,
    plugins: PathBuf,
}

impl Stage {
    pub fn new() -> Self {
        let lab = Lab::new(1);
        let plugins = std::env::temp_dir().join(format!("ipvl-cni-{}", lab.host.name()));
        fs::create_dir_all(&plugins).expect("a folder");
        let stage = Self { lab, plugins };
        stage.ipam(
            "gives",
            r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.77/24","gateway":"10.0.0.254"}]}'"#,
        );
        stage
    }

    /// An IPAM plugin: shell text, which notes what it was asked.
    pub fn ipam(&self, name: &str, text: &str) {
        let path = self.plugins.join(name);
        let log = self.plugins.join("asked");
        let script = format!("#!/bin/sh\nIN=$(cat)\necho $CNI_COMMAND $CNI_CONTAINERID >>{}\n{text}\n", log.display());
        fs::write(&path, script).expect("a plugin");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    }

    pub fn asked(&self) -> String {
        fs::read_to_string(self.plugins.join("asked")).unwrap_or_default()
    }

    pub fn start(&self, command: &str, netns: &str, config: &Value) -> Child {
        let mut plugin = self.lab.host.command([env!("CARGO_BIN_EXE_ipvl-cni")]);
        self.environment(&mut plugin, command, netns);
        started(plugin, config)
    }

    pub fn environment(&self, plugin: &mut Command, command: &str, netns: &str) {
        let path = self.plugins.display().to_string();
        let words =
            [("COMMAND", command), ("CONTAINERID", "c1"), ("NETNS", netns), ("IFNAME", "eth0"), ("PATH", &path)];
        plugin.envs(words.map(|(key, value)| (format!("CNI_{key}"), value.to_owned())));
    }

    /// What it answers, and whether that is a success.
    pub fn call(&self, command: &str, config: &Value) -> (bool, Value) {
        self.call_in(command, &format!("/run/netns/{}", self.lab.slaves[0].name()), config)
    }

    pub fn call_in(&self, command: &str, netns: &str, config: &Value) -> (bool, Value) {
        answer(self.start(command, netns, config))
    }

    pub fn slaves(&self) -> usize {
        let links = self.lab.host.run(["ip", "-d", "link"]);
        links.matches("ipvl host end").count() + links.matches("ipvlh").count()
    }

    #[track_caller]
    pub fn expect_nothing(&self) {
        assert!(wait_until(SOON, || self.slaves() == 0), "a slave is left");
        assert!(!self.lab.slaves[0].exec(["ip", "link", "show", "eth0"]).ok, "an interface is left");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.plugins);
    }
}

/// Starts a plugin, and gives it its configuration.
pub fn started(mut plugin: Command, config: &Value) -> Child {
    let mut child = plugin.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the plugin");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(config.to_string().as_bytes()).expect("a configuration");
    child
}

/// What a plugin answers, and whether that is a success.
pub fn answer(plugin: Child) -> (bool, Value) {
    let output = plugin.wait_with_output().expect("the plugin's end");
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

pub fn config(changes: Value) -> Value {
    let config =
        json!({ "cniVersion": "1.1.0", "name": "net", "type": "ipvl", "master": "eth0", "ipam": { "type": "gives" } });
    changed(config, changes)
}

/// A configuration with other keys, or other values of them.
pub fn changed(mut config: Value, changes: Value) -> Value {
    let object = config.as_object_mut().expect("an object");
    object.extend(changes.as_object().cloned().unwrap_or_default());
    config
}
