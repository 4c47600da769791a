//! What a provider makes of a MOVE, found out with empty sealed files that are removed again, before anything of a user's
//! is moved.

use std::time::SystemTime;

use http::header::ETAG;
use http::{Method, StatusCode};

use super::{Entry, Estate, Left, encoded, opaque, refused};
use crate::adapter::webdav::upstream::{IF, text};
use crate::body::{Cleared, Plain};
use crate::error::Refusal;

/// Characters of names that some servers misread in a `Destination`, though they are encoded there: WsgiDAV cuts the path
/// off at a semicolon, and would replace another file.
const DELICATE: &str = ";?#%+&=,@:$!*'()[]{}\"^`|<>~ é";

/// See the module.
#[derive(Debug)]
pub(super) struct Manner {
    /// A condition on the file that a MOVE replaces is honoured (RFC 4918, section 10.4).
    pub heeds_conditions: bool,
    /// Characters that must not stand in a destination.
    misread: Vec<char>,
}

impl Manner {
    pub fn reads(&self, path: &str) -> bool {
        !path.contains(self.misread.as_slice())
    }
}

impl Estate {
    /// Tries the provider out beside an entry. Says whether it honours a condition on what a MOVE replaces.
    ///
    /// # Errors
    /// It can't be tried.
    pub async fn probe(&self, beside: &Entry, now: SystemTime) -> Result<bool, Left> {
        let heeds_conditions = self.try_conditions(beside, now).await?;
        let mut misread = Vec::new();
        if !self.try_destination(beside, DELICATE, now).await? {
            for one in DELICATE.chars() {
                if !self.try_destination(beside, &one.to_string(), now).await? {
                    misread.push(one);
                }
            }
        }
        let manner = Manner {
            heeds_conditions,
            misread,
        };
        Ok(self.manner.get_or_init(|| manner).heeds_conditions)
    }

    /// A name of its own beside a file or in a collection, with `more` behind it: where this and later runs look.
    fn trial(&self, beside: &Entry, more: &str, now: SystemTime) -> Result<Entry, Refusal> {
        let name = self.temporary("", now)? + more;
        let directory = match beside.collection {
            true => beside.path.as_str(),
            false => beside.parent(),
        };
        let path = format!("{directory}/{}", encoded(&name));
        Ok(Entry::at(path, false, None))
    }

    /// Puts an empty sealed file.
    async fn put_trial(&self, trial: &Entry, now: SystemTime) -> Result<(), Left> {
        let sealed = self.sealed(&trial.path, Plain::empty(), 0, now)?;
        let answer = self
            .done(opaque(self.ask(Method::PUT, trial)), sealed)
            .await?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(refused(answer).into()),
        }
    }

    /// Whether a MOVE to a name with these characters ends there. What is cut off it is a temporary's name still.
    async fn try_destination(
        &self,
        beside: &Entry,
        characters: &str,
        now: SystemTime,
    ) -> Result<bool, Left> {
        let from = self.trial(beside, "", now)?;
        let to = self.trial(beside, characters, now)?;
        let cut = to.name.strip_suffix(characters).unwrap_or_default();
        let cut = Entry::at(format!("{}/{cut}", to.parent()), false, None);
        self.put_trial(&from, now).await?;
        let ask = self.moving_anyhow(&from.path, &to.path, false)?;
        let moved = self.done(ask, Cleared::empty()).await;
        let there = self
            .done(self.ask(Method::HEAD, &to), Cleared::empty())
            .await;
        for trial in [&from, &to, &cut] {
            self.remove(trial).await;
        }
        Ok(moved?.status().is_success() && there?.status().is_success())
    }

    async fn try_conditions(&self, beside: &Entry, now: SystemTime) -> Result<bool, Left> {
        let (from, to) = (self.trial(beside, "", now)?, self.trial(beside, "", now)?);
        self.put_trial(&from, now).await?;
        self.put_trial(&to, now).await?;
        let heeded = self.conditions(&from, &to).await;
        for trial in [&from, &to] {
            self.remove(trial).await;
        }
        Ok(heeded?)
    }

    async fn conditions(&self, from: &Entry, to: &Entry) -> Result<bool, Refusal> {
        let head = self
            .done(self.ask(Method::HEAD, to), Cleared::empty())
            .await?;
        let Some(tag) = text(head.headers(), ETAG).map(str::to_owned) else {
            return Ok(false);
        };
        let mut statuses = Vec::new();
        for tag in ["\"no-such-version\"", tag.as_str()] {
            let condition = format!("<{}> ([{tag}])", self.url(&to.path));
            let ask = self.moving_anyhow(&from.path, &to.path, true)?;
            let answer = self
                .done(ask.header(IF, &condition), Cleared::empty())
                .await?;
            statuses.push(answer.status());
        }
        Ok(statuses[0] == StatusCode::PRECONDITION_FAILED && statuses[1].is_success())
    }
}
