//! Attachments of a mailbox that go up in sessions: Outlook's host takes up to 4 MB a request, in order, and says one number.

use http::HeaderMap;
use serde_json::{Value, json};

use crate::provider::{Canned, Provider, Seen, Session, error, json_answer};

pub const OUTLOOK: &str = "outlook.office.com";
const LIMIT: usize = 4_000_000;

impl Provider {
    /// `None`: no request about attachments.
    pub fn mailbox(&self, seen: &Seen) -> Option<Canned> {
        let path = seen.target.split('?').next().unwrap();
        if path.contains("/AttachmentSessions(") {
            return Some(self.attachment_session(seen));
        }
        if path.ends_with("/attachments/createUploadSession") {
            return Some(self.open_attachment(seen));
        }
        let name = path
            .split_once("/attachments/")?
            .1
            .strip_suffix("/$value")?;
        let Some(file) = self.file(name) else {
            return Some(error(404, "ErrorItemNotFound"));
        };
        let kind = ("content-type", "application/octet-stream".to_owned());
        let (status, mut fields, bytes) = self.part_of(&seen.headers, file.bytes);
        fields.push(kind);
        Some((status, fields, bytes))
    }

    fn part_of(&self, headers: &HeaderMap, bytes: Vec<u8>) -> Canned {
        let range = headers.get("range").filter(|_| !self.no_ranges);
        let (status, mut fields, bytes) = match range {
            None => (200, Vec::new(), bytes),
            Some(range) => {
                let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
                let (start, end) = range.split_once('-').unwrap();
                let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
                let value = format!("bytes {start}-{end}/{}", bytes.len());
                (
                    206,
                    vec![("content-range", value)],
                    bytes[start..=end].to_vec(),
                )
            }
        };
        fields.push(("content-length", bytes.len().to_string()));
        (status, fields, bytes)
    }

    fn open_attachment(&self, seen: &Seen) -> Canned {
        let asked: Value = serde_json::from_slice(&seen.body).unwrap();
        let item = &asked["AttachmentItem"];
        let mut sessions = self.sessions.lock().unwrap();
        let target = format!(
            "/api/v2.0/Users('u@t')/Messages('AAMk=')/AttachmentSessions('{}')?authtoken=a%2Bb",
            sessions.len()
        );
        let url = format!("https://{OUTLOOK}{target}");
        sessions.insert(
            target,
            Session {
                name: "attached".to_owned(),
                total: Some(item["size"].as_u64().unwrap()),
                ..Session::default()
            },
        );
        let document = json!({"uploadUrl": url, "nextExpectedRanges": ["0-"]});
        json_answer(201, &document)
    }

    fn attachment_session(&self, seen: &Seen) -> Canned {
        if seen.headers.contains_key("authorization") {
            return error(401, "ErrorAccessDenied");
        }
        let mut sessions = self.sessions.lock().unwrap();
        let Some(session) = sessions.get_mut(&seen.target) else {
            return error(404, "ErrorItemNotFound");
        };
        let status =
            |session: &Session| json!({"nextExpectedRanges": [session.received.len().to_string()]});
        match seen.method.as_str() {
            "GET" => return json_answer(200, &status(session)),
            "DELETE" => {
                sessions.remove(&seen.target);
                return (204, vec![], vec![]);
            }
            _ => {}
        }
        let range = seen.header("content-range").strip_prefix("bytes ").unwrap();
        let (range, total) = range.split_once('/').unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        if Some(total.parse().unwrap()) != session.total || last + 1 - first != seen.body.len() {
            return error(400, "ErrorInvalidRange");
        }
        if seen.body.len() > LIMIT {
            return error(413, "ErrorRequestTooLarge");
        }
        if first != session.received.len() {
            return error(416, "ErrorInvalidRange");
        }
        session.received.extend_from_slice(&seen.body);
        if (session.received.len() as u64) < session.total.unwrap() {
            return json_answer(200, &status(session));
        }
        let whole = sessions.remove(&seen.target).unwrap();
        drop(sessions);
        self.store(&whole.name, &whole.received);
        let location =
            format!("https://{OUTLOOK}/api/v2.0/Users('u@t')/Messages('AAMk=')/Attachments('B')");
        let fields = vec![("location", location), ("content-length", "0".to_owned())];
        (201, fields, vec![])
    }
}
