//! Does the command, as a process, print and end as scripts expect it to?

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

#[test]
fn a_wrong_line_ends_as_iproute2_ends_it() {
    for (line, status, message) in [
        ("foo", 1, "Object \"foo\" is unknown, try \"ipvl help\".\n"),
        ("link set", 255, "Not enough information: \"dev\" argument is required.\n"),
        ("-n no-such-netns link", 255, "Cannot open network namespace \"no-such-netns\": No such file or directory\n"),
        ("-batch /no-such-file", 1, "Cannot open file \"/no-such-file\" for reading: No such file or directory\n"),
    ] {
        let output = ipvl(line, "");
        let told = (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert_eq!(told, (Some(status), message.to_owned()), "ipvl {line}");
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    for (line, start) in [("help", "Usage: ipvl "), ("link help", "Usage: ipvl link add "), ("-V", "ipvl utility, ")] {
        let output = ipvl(line, "");
        assert!(output.status.success() && output.stderr.is_empty(), "ipvl {line}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(start), "ipvl {line}");
    }
}

#[test]
fn a_batch_stops_at_the_first_failure_unless_forced() {
    let text = "help\n\n# comment\nfoo\nbar\nhelp\n";
    let (stopped, forced) = (ipvl("-b -", text), ipvl("-force -b -", text));
    assert_eq!((stopped.status.code(), forced.status.code()), (Some(1), Some(1)));
    assert_eq!(failures(&stopped), ["Command failed -:4"]);
    assert_eq!(failures(&forced), ["Command failed -:4", "Command failed -:5"]);
}

#[test]
fn with_j_a_failure_is_an_object() {
    for (line, expected) in [
        ("-j foo", r#"{"error":"Object \"foo\" is unknown, try \"ipvl help\"."}"#),
        (
            "-j link add link eth0 type ipvlan mode l4",
            r#"{"error":"argument \"l4\" is wrong: mode must be l2, l3 or l3s"}"#,
        ),
        (
            "-j -batch /no-such-file",
            r#"{"error":"Cannot open file \"/no-such-file\" for reading: No such file or directory"}"#,
        ),
    ] {
        let output = ipvl(line, "");
        assert!(!output.status.success() && output.stdout.is_empty(), "ipvl {line}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("{expected}\n"), "ipvl {line}");
    }
    let batch = ipvl("-j -force -b -", "foo\n\nbar\n");
    let objects: Vec<String> = String::from_utf8_lossy(&batch.stderr).lines().map(str::to_owned).collect();
    assert!(objects.len() == 2 && objects[1].ends_with(r#","file":"-","lines":"3"}"#), "{objects:?}");
}

#[test]
fn bash_completes() {
    let script = "source <(\"$0\" completion bash); ipvl() { \"$IPVL\" \"$@\"; }
        COMP_WORDS=(ipvl link s); COMP_CWORD=2; _ipvl; echo ${COMPREPLY[@]}";
    let path = env!("CARGO_BIN_EXE_ipvl");
    let output = Command::new("bash").args(["-c", script, path]).env("IPVL", path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "set show\n");
}

fn failures(output: &Output) -> Vec<String> {
    let told = String::from_utf8_lossy(&output.stderr);
    told.lines().filter(|line| line.starts_with("Command failed")).map(str::to_owned).collect()
}

fn ipvl(line: &str, stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipvl"));
    command.args(line.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}
