//! One file of a SharePoint library in memory, by SharePoint's own REST interface: it goes up whole or in chunks, which
//! come in order; a chunk that comes again changes nothing, and one with other bytes is refused.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::provider::{Canned, Seen, json_answer};

#[derive(Default, Clone)]
pub struct Upload {
    pub received: Vec<u8>,
    /// By where they begin.
    chunks: BTreeMap<usize, Vec<u8>>,
}

#[derive(Default)]
pub struct Library {
    pub file: Mutex<Option<Vec<u8>>>,
    /// By id.
    pub uploads: Mutex<BTreeMap<String, Upload>>,
    /// It counts a byte that it was not sent.
    pub miscounts: AtomicBool,
    /// Nobody may ask where an upload stands.
    pub silent: AtomicBool,
}

/// Between two marks of a target.
fn between<'t>(target: &'t str, from: &str, to: char) -> &'t str {
    let (_, rest) = target.split_once(from).unwrap_or_default();
    rest.split(to).next().unwrap_or_default()
}

fn error(status: u16, why: &str) -> Canned {
    let message = json!({"lang": "en-US", "value": why});
    let error = json!({"code": "-1, Microsoft.SharePoint.SPException", "message": message});
    json_answer(status, &json!({"odata.error": error}))
}

impl Library {
    pub fn handle(&self, seen: &Seen) -> Canned {
        let (path, _) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let word = path.rsplit('/').next().unwrap();
        let name = word.split('(').next().unwrap();
        match name {
            "$value" if seen.method == "GET" => match &*self.file.lock().unwrap() {
                Some(file) => {
                    let length = ("content-length", file.len().to_string());
                    (200, vec![length], file.clone())
                }
                None => error(404, "no file"),
            },
            "add" => {
                *self.file.lock().unwrap() = Some(seen.body.clone());
                self.shown(seen)
            }
            _ if name.contains("Upload") => self.chunk(seen, name, word),
            _ => self.shown(seen),
        }
    }

    fn shown(&self, seen: &Seen) -> Canned {
        let length = self.file.lock().unwrap().as_ref().map_or(0, Vec::len);
        answer(seen, json!({"Length": length.to_string(), "Name": "a"}))
    }

    fn chunk(&self, seen: &Seen, name: &str, word: &str) -> Canned {
        let id = between(word, "uploadId=guid'", '\'').to_owned();
        let mut uploads = self.uploads.lock().unwrap();
        let starts = name.starts_with("Start");
        if starts {
            uploads.entry(id.clone()).or_default();
        }
        let Some(upload) = uploads.get_mut(&id) else {
            return error(404, "no such upload");
        };
        match name {
            "CancelUpload" => {
                uploads.remove(&id);
                return (200, vec![], vec![]);
            }
            "GetUploadStatus" if self.silent.load(Ordering::SeqCst) => {
                return error(403, "not yours");
            }
            "GetUploadStatus" => {
                let range = format!("{}-", upload.received.len());
                return answer(seen, json!({"ExpectedContentRange": range}));
            }
            _ => {}
        }
        let offset = between(word, "fileOffset=", ')');
        let offset: usize = if starts { 0 } else { offset.parse().unwrap() };
        let again = starts && !upload.chunks.is_empty();
        if offset != upload.received.len() || again {
            if upload.chunks.get(&offset) != Some(&seen.body) {
                return error(409, "another place, or other bytes");
            }
        } else {
            upload.received.extend_from_slice(&seen.body);
            upload.chunks.insert(offset, seen.body.clone());
        }
        if name == "FinishUpload" {
            *self.file.lock().unwrap() = uploads.remove(&id).map(|upload| upload.received);
            return self.shown(seen);
        }
        if name == "StartUploadFile" {
            return self.shown(seen);
        }
        let more = usize::from(self.miscounts.load(Ordering::SeqCst));
        let count = (offset + seen.body.len() + more).to_string();
        match verbose(seen) {
            true => json_answer(200, &json!({"d": {name: count}})),
            false => json_answer(200, &json!({"value": count})),
        }
    }
}

fn verbose(seen: &Seen) -> bool {
    seen.header("accept").contains("odata=verbose")
}

fn answer(seen: &Seen, entity: Value) -> Canned {
    match verbose(seen) {
        true => json_answer(200, &json!({"d": entity})),
        false => json_answer(200, &entity),
    }
}
