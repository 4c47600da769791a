//! What is not served, in the protocol's own form.

use crate::gate::Gate;
use crate::provider::TENANT;

#[test]
fn what_no_family_names_is_refused_and_nothing_is_asked() {
    let gate = Gate::new();
    for (method, target) in [
        ("POST", "/v1.0/me/drive/items/1/unknown"),
        ("PATCH", "/v1.0/me/drive/items/1/content"),
        ("PUT", "/v1.0/me/drive/items/1/children"),
        ("GET", "/v1.0/unknown"),
        ("PUT", "/v1.0/me/messages"),
        ("GET", "/v3/me/drive"),
        ("POST", "/beta/subscriptions"),
    ] {
        let answer = gate.send(method, target, &[], b"");
        assert_eq!(answer.status, 403, "{method} {target}");
        assert_eq!(answer.json()["error"]["code"], "accessDenied");
        assert!(!answer.code().is_empty());
    }
    assert_eq!(gate.provider.seen.lock().unwrap().len(), 0);
}

#[test]
fn what_needs_the_plaintext_is_refused_with_its_reason() {
    let gate = Gate::new();
    for (host, method, target) in [
        (
            "graph.microsoft.com",
            "POST",
            "/v1.0/me/drive/items/1/preview",
        ),
        (
            "graph.microsoft.com",
            "GET",
            "/v1.0/me/drive/items/1/workbook/worksheets",
        ),
        (
            "graph.microsoft.com",
            "GET",
            "/v1.0/me/drive/items/1/thumbnails/0/small/content",
        ),
        (
            "graph.microsoft.com",
            "GET",
            "/v1.0/me/drive/items/1/content?format=pdf",
        ),
        ("graph.microsoft.com", "POST", "/v1.0/search/query"),
        ("graph.microsoft.com", "GET", "/v1.0/me/onenote/notebooks"),
        (
            "graph.microsoft.com",
            "GET",
            "/v1.0/groups/1/onenote/pages/1/content",
        ),
        (
            "graph.microsoft.com",
            "GET",
            "/v1.0/me/drive/root/children?$search=a",
        ),
        (
            "graph.microsoft.com",
            "GET",
            "/v1.0/me/drive/root/children?%24filter=size%20gt%201",
        ),
        (TENANT, "GET", "/:w:/r/personal/u/a.docx"),
        (
            TENANT,
            "GET",
            "/personal/u/_layouts/15/Doc.aspx?sourcedoc=1",
        ),
        (
            TENANT,
            "POST",
            "/_vti_bin/cellstorage.svc/CellStorageService",
        ),
        (
            TENANT,
            "POST",
            "/personal/u/_vti_bin/client.svc/ProcessQuery",
        ),
        (TENANT, "GET", "/_layouts/15/WopiFrame.aspx"),
        (TENANT, "POST", "/_api/$batch"),
    ] {
        let answer = gate.at(host, method, target, &[], b"");
        assert_eq!(answer.status, 403, "{method} {target}");
        let page = gate.at(host, method, target, &[("accept", "text/html")], b"");
        let page = String::from_utf8(page.bytes().to_vec()).unwrap();
        assert!(page.contains("<html lang=\"fr\">") && page.contains("dsi@example.fr"));
    }
    let none = gate.send("GET", "/v1.0/me/drive/items/1/thumbnails", &[], b"");
    assert_eq!(none.json(), serde_json::json!({"value": []}));
    assert_eq!(gate.provider.seen.lock().unwrap().len(), 0);
}

#[test]
fn documents_that_lead_to_contents_are_refused() {
    let gate = Gate::new();
    let json = [("content-type", "application/json")];
    let children = "/v1.0/me/drive/root/children";
    for document in [
        r#"{"name":"a","file":{}}"#,
        r#"{"name":"a","@microsoft.graph.sourceUrl":"https://elsewhere.example"}"#,
        r#"{"name":"a","@content.sourceUrl":"https://elsewhere.example"}"#,
        r#"{"name":"a","description":"words"}"#,
        r#"{"name":"a","content":"words"}"#,
        r#"{"name":"a","Folder":{}}"#,
        "words",
    ] {
        let answer = gate.send("POST", children, &json, document.as_bytes());
        assert!(matches!(answer.status, 400 | 403), "{document}");
    }
    let multipart = [("content-type", "multipart/related; boundary=x")];
    assert_eq!(gate.send("POST", children, &multipart, b"--x").status, 400);
    assert_eq!(gate.provider.seen.lock().unwrap().len(), 0);
    let folder = br#"{"name":"a","folder":{},"@microsoft.graph.conflictBehavior":"rename"}"#;
    gate.send("POST", children, &json, folder);
    assert_eq!(gate.provider.seen.lock().unwrap()[0].body, folder);
}

#[test]
fn a_group_is_relayed_only_when_it_is_named() {
    let gate = Gate::new();
    for target in ["/v1.0/me", "/v1.0/me/drive/root/search(q='a')"] {
        assert_eq!(gate.send("GET", target, &[], b"").status, 403);
    }
    let json = [("content-type", "application/json")];
    let invite = "/v1.0/me/drive/items/1/invite";
    assert_eq!(
        gate.send("POST", invite, &json, b"{\"message\":\"words\"}")
            .status,
        403
    );
    assert_eq!(gate.provider.seen.lock().unwrap().len(), 0);
}
