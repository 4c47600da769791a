//! What a service file may say.

use crate::gate::{Gate, load};

fn faults(rules: &str) -> String {
    load(rules).err().unwrap_or_default()
}

#[test]
fn rules_that_contradict_themselves_are_faults() {
    let rule =
        |rest: &str| format!("[[rule]]\nname = \"r\"\nmethods = [\"POST\"]\npath = \"/a\"\n{rest}");
    for (rest, expected) in [
        ("", "needs `answer`"),
        ("answer = []", "say what the answer may hold"),
        ("answer = [\"json\", \"relay\"]", "stand alone"),
        (
            "answer = [\"json\"]\nrequest = \"relay\"",
            "goes with `answer`",
        ),
        (
            "answer = [\"relay\"]\nrequest = \"json\"",
            "goes with `request`",
        ),
        (
            "answer = [\"object\"]\nrequest = \"json\"",
            "without a body",
        ),
        ("answer = [\"json\"]\nclear = [\"$.a\"]", "no such part"),
        (
            "answer = [\"html\"]\nsizes = [\"$.a\"]",
            "belongs to answers in JSON",
        ),
        (
            "answer = [\"json\"]\nrequest = \"json\"\nclear = [\"a\"]",
            "expected a JSON path",
        ),
        (
            "answer = [\"json\"]\nrequest = \"json\"\n[[rule.seal]]\nform = \"a\"",
            "no such part",
        ),
        ("answer = [\"json\"]\n[[rule.seal]]\nmax = 4", "one only"),
        (
            "answer = [\"json\"]\n[[rule.seal]]\nquery = \"a\"\nheader = \"b\"",
            "one only",
        ),
        (
            "answer = [\"json\"]\n[[rule.seal]]\nheader = \"Content-Length\"",
            "belongs to the gateway",
        ),
        (
            "answer = [\"json\"]\nrequest = \"json\"\n[[rule.seal]]\njson = \"$.a\"\nindex = \"exact\"",
            "needs `beside`",
        ),
        (
            "answer = [\"json\"]\n[[rule.seal]]\nquery = \"q\"\nindex = \"exact\"\nfilter = \"a\"\nsends = \"b{}\"",
            "one `{}`",
        ),
        (
            "answer = [\"json\"]\n[[rule.seal]]\nheader = \"x-a\"\nindex = \"exact\"",
            "belongs to",
        ),
    ] {
        let faults = faults(&rule(rest));
        assert!(faults.contains(expected), "{rest}\n{faults}");
    }
    assert_eq!(faults(&rule("answer = [\"json\"]")), "");
    assert!(faults("").contains("no rule is configured"));
}

#[test]
fn websockets_are_judged_by_their_messages() {
    let rule = |rest: &str| {
        format!(
            "[[rule]]\nname = \"r\"\nmethods = [\"GET\"]\npath = \"/a\"\nanswer = [\"websocket\"]\n{rest}"
        )
    };
    let message = |rest: &str| rule(&format!("[[rule.message]]\nname = \"m\"\n{rest}"));
    let last = "\n[[rule.message]]\nname = \"n\"";
    for (rules, expected) in [
        (rule("").replace("GET", "POST"), "and GET alone"),
        (
            rule("").replace("\"GET\"", "\"GET\", \"HEAD\""),
            "and GET alone",
        ),
        (
            rule("").replace("\"websocket\"", "\"websocket\", \"json\""),
            "stand alone",
        ),
        (rule("request = \"json\""), "without a body"),
        (rule("clear = [\"$\"]"), "no such part"),
        (rule("protocols = [\"a b\"]"), "a subprotocol's name"),
        (rule("protocols = [\"a\", \"a\"]"), "each stands once"),
        (
            message("[[rule.message.seal]]\nform = \"a\""),
            "JSON paths alone",
        ),
        (message("where = \"$.a\""), "needs `equals`"),
        (message("equals = [\"a\"]"), "needs `where`"),
        (
            message("where = \"$.a\"\nequals = []"),
            "at least one value",
        ),
        (message(last), "never reached"),
        (message("other = 1"), "other"),
        (
            message(&last.replace("\"n\"", "\"m\"")),
            "a message `m` already",
        ),
        (
            rule("").replace("websocket", "json") + "binary = true",
            "binary",
        ),
        (
            rule("").replace("websocket", "json") + "[[rule.message]]\nname = \"m\"",
            "message",
        ),
    ] {
        let faults = faults(&rules);
        assert!(faults.contains(expected), "{rules}\n{faults}");
    }
    assert_eq!(faults(&rule("")), "");
    let sound = "where = \"$.a\"\nequals = [\"a\"]\n[[rule.message.seal]]\njson = \"$.text\"";
    assert_eq!(faults(&message(&format!("{sound}{last}"))), "");
}

fn three(paths: [&str; 3]) -> String {
    let rules = paths
        .iter()
        .enumerate()
        .filter(|(_, path)| !path.is_empty());
    rules
        .map(|(i, path)| format!("[[rule]]\nname = \"r{i}\"\nmethods = [\"GET\"]\npath = \"{path}\"\nanswer = [\"json\"]\n"))
        .collect()
}

#[test]
fn unreachable_and_ambiguous_rules_are_faults() {
    assert!(faults(&three(["/a/{x}", "/a/b", ""])).contains("never reached: the rule `r0`"));
    assert!(faults(&three(["/{x}/b", "/a/{y}", ""])).contains("overlaps with the rule `r0`"));
    assert_eq!(faults(&three(["/a/b", "/a/{x}", "/{r*}"])), "");
    assert_eq!(faults(&three(["/a/b", "/{x}/b", "/a/{y}"])), "");
    let twice = three(["/a", "/b", ""]).replace("r1", "r0");
    assert!(faults(&twice).contains("a rule `r0` already"));
    // another type of body on one path
    let typed = |first: &str, second: &str| {
        three(["/a", "/a", ""])
            .replacen("answer", &format!("request = \"{first}\"\nanswer"), 1)
            .replacen(
                "name = \"r1\"",
                &format!("name = \"r1\"\nrequest = \"{second}\""),
                1,
            )
    };
    assert_eq!(faults(&typed("json", "multipart")), "");
    assert_eq!(faults(&typed("json", "object")), "");
    assert!(faults(&typed("json", "json")).contains("never reached"));
    assert!(faults(&typed("object", "json")).contains("never reached"));
    // another method is another matter
    let other = three(["/a/{x}", "/a/b", ""]).replacen("GET", "POST", 1);
    assert_eq!(faults(&other), "");
}

#[test]
fn the_log_names_the_rule() {
    let gate = Gate::new(&three(["/a/b", "/a/{x}", ""]));
    assert_eq!(gate.operation("GET", "/a/b"), "r0");
    assert_eq!(gate.operation("GET", "/a/c"), "r1");
    assert_eq!(gate.operation("GET", "/"), "-");
}

#[test]
fn members_of_error_documents_are_named_once() {
    let rule = "[[rule]]\nname = \"r\"\nmethods = [\"GET\"]\npath = \"/a\"\nanswer = [\"json\"]\n";
    let member = |name: &str| format!("[[error_member]]\nname = \"{name}\"\nvalue = \"x\"\n");
    for (names, expected) in [
        (["error", "detail"], "have a member `detail` already"),
        (["error", "error"], "have a member `error` already"),
    ] {
        let text = format!("{}{}{rule}", member(names[0]), member(names[1]));
        assert!(faults(&text).contains(expected), "{}", faults(&text));
    }
    assert!(load(&format!("{}{rule}", member("error"))).is_ok());
    let bare = format!("[[error_member]]\nname = \"error\"\n{rule}");
    assert!(faults(&bare).contains("needs `value`"));
}
