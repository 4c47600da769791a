//! One file: sealed beside itself, read back, and put in its place.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use http::header::{DATE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use http_body::Body;

use super::measure::{Measure, Measuring, measured};
use super::{Entry, Estate, Left, Look, broken, foreign, is_gone, no_length, opaque, refused};
use crate::adapter::range;
use crate::adapter::webdav::precondition::opaque as opaque_tag;
use crate::adapter::webdav::upstream::{IF, text};
use crate::body::{Cleared, Outbound, Plain, Released, SealBody, SealPlan, Sealed, Tail};
use crate::error::{BODY_INCOMPLETE, INTERNAL, OBJECT_DAMAGED, Refusal, TOO_LARGE};
use crate::seal::layout::{self, HEADER};
use crate::seal::trailer::Digests;

const MTIME: HeaderName = HeaderName::from_static("x-oc-mtime");
/// Tags of some servers tell seconds apart and no less.
const SETTLED: Duration = Duration::from_secs(2);

/// Which version of a file it was.
struct Version {
    etag: Option<String>,
    modified: Option<SystemTime>,
    length: u64,
    /// Another version would have another tag.
    settled: bool,
}

impl Version {
    fn of(headers: &HeaderMap, length: u64) -> Self {
        let date = |name| httpdate::parse_http_date(text(headers, name)?).ok();
        let (modified, asked) = (date(LAST_MODIFIED), date(DATE));
        let age = asked
            .zip(modified)
            .map(|(asked, modified)| asked.duration_since(modified));
        Self {
            etag: text(headers, ETAG).map(str::to_owned),
            modified,
            length,
            settled: age.is_some_and(|age| age.is_ok_and(|age| age >= SETTLED)),
        }
    }

    /// Whether both have the same tag. Without tags nothing is known.
    fn same_tag(&self, other: &Self) -> bool {
        let tags = self.etag.as_deref().zip(other.etag.as_deref());
        self.length == other.length && tags.is_some_and(|(a, b)| opaque_tag(a) == opaque_tag(b))
    }
}

/// A file that was sealed.
#[derive(Debug)]
pub struct Done {
    /// Of plaintext.
    pub bytes: u64,
    /// The provider took over when it was modified.
    pub time_kept: bool,
}

impl Estate {
    /// Seals a file where it lies. `passed` counts bytes as they are read.
    ///
    /// # Errors
    /// The file is left as it was, or is another's newer version.
    pub async fn seal(
        &self,
        entry: &Entry,
        passed: Arc<AtomicU64>,
        now: SystemTime,
    ) -> Result<Done, Left> {
        // before anything is read, whether it could take the place
        self.moving(&entry.path, &entry.path, true)?;
        let heeded = self
            .manner
            .get()
            .is_some_and(|manner| manner.heeds_conditions);
        let response = self.get(entry).await?;
        let length = range::total(response.headers()).ok_or_else(no_length)?;
        let version = Version::of(response.headers(), length);
        let (front, body) = response.into_body().peek(HEADER).await.map_err(broken)?;
        // as it was looked at: whoever wrote it through the gateway since then sealed it
        match self.opener.file(&front, length) {
            Ok(None) => {}
            Ok(Some(_)) => return Err(Left::Changed),
            Err(refusal) => return Err(foreign(refusal)),
        }
        let name = self.temporary(&entry.name, now)?;
        let path = format!("{}/{}", entry.parent(), super::encoded(&name));
        let temporary = Entry::at(path, false, None);
        let (plain, measure) = measured(Plain::unsealed(body), passed);
        let stored = self.store(&temporary, plain, &version, now).await;
        let time_kept = match stored {
            Ok(kept) => kept,
            Err(refusal) => {
                self.remove(&temporary).await;
                return Err(refusal.into());
            }
        };
        let Some(measure) = measure.get().copied() else {
            self.remove(&temporary).await;
            return Err(Refusal::new(&BODY_INCOMPLETE).into());
        };
        if let Err(left) = self
            .confirm(entry, &temporary, &version, &measure, heeded)
            .await
        {
            // no MOVE was sent: the original lies there
            self.remove(&temporary).await;
            return Err(left);
        }
        self.replace(&temporary, entry, heeded.then_some(&version))
            .await?;
        Ok(Done {
            bytes: measure.length,
            time_kept,
        })
    }

    /// Writes the sealed form. Says whether the provider took the time over.
    async fn store(
        &self,
        temporary: &Entry,
        plain: Plain,
        version: &Version,
        now: SystemTime,
    ) -> Result<bool, Refusal> {
        let mut ask = opaque(self.ask(Method::PUT, temporary));
        let modified = version
            .modified
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        if let Some(modified) = modified {
            ask = ask.header(MTIME, &modified.as_secs().to_string());
        }
        let sealed = self.sealed(&temporary.path, plain, version.length, now)?;
        let answer = self.done(ask, sealed).await?;
        if !answer.status().is_success() {
            return Err(refused(answer));
        }
        if text(answer.headers(), MTIME).is_some_and(|value| value == "accepted") {
            return Ok(true);
        }
        // some take it and do not say so
        let Some(modified) = version.modified else {
            return Ok(false);
        };
        let head = self
            .done(self.ask(Method::HEAD, temporary), Cleared::empty())
            .await?;
        let stands = text(head.headers(), LAST_MODIFIED);
        Ok(stands.and_then(|value| httpdate::parse_http_date(value).ok()) == Some(modified))
    }

    /// The sealed form of so many bytes.
    pub(super) fn sealed(
        &self,
        request: &str,
        plain: Plain,
        length: u64,
        now: SystemTime,
    ) -> Result<Cleared<Outbound>, Refusal> {
        let fits = layout::run_len(length).is_some()
            && layout::sealed_len(length).is_some_and(|sealed| sealed <= self.max_put);
        if !fits {
            return Err(Refusal::new(&TOO_LARGE));
        }
        let keys = self
            .epochs
            .current()
            .map_err(|error| crate::adapter::opening::refusal(error.into()))?;
        let plan = SealPlan {
            keys,
            context: self.opener.context.clone(),
            object: self.object_id(request, now)?,
            part: 0,
            salt: self.salt(request, now)?,
            length: Some(length),
            tail: Tail::Object {
                salt: self.salt(request, now)?,
                digests: Box::new(Digests::default),
            },
        };
        let body =
            SealBody::new(plain, plan).map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        Ok(Cleared::sealed(body))
    }

    /// What must hold before the original goes.
    ///
    /// # Errors
    /// The sealed form does not open to what was read, or the original is another by now.
    async fn confirm(
        &self,
        entry: &Entry,
        temporary: &Entry,
        version: &Version,
        measure: &Measure,
        heeded: bool,
    ) -> Result<(), Left> {
        match self.opened(temporary).await {
            Ok(read) if read == *measure => {}
            Err(Left::Refused(refusal)) if refusal.code != &OBJECT_DAMAGED => {
                return Err(refusal.into());
            }
            _ => return Err(Left::Unequal),
        }
        if !version.settled || version.etag.is_none() {
            let response = self.get(entry).await;
            let mut body = response.map_err(changed)?.into_body();
            let mut again = Measuring::new();
            while let Some(piece) = body.next().await? {
                again.update(&piece);
            }
            if again.finish() != *measure {
                return Err(Left::Changed);
            }
        }
        if !heeded && version.etag.is_some() {
            let head = self
                .done(self.ask(Method::HEAD, entry), Cleared::empty())
                .await?;
            if !head.status().is_success() {
                return Err(changed(refused(head)));
            }
            let length = range::total(head.headers()).unwrap_or(0);
            if !version.same_tag(&Version::of(head.headers(), length)) {
                return Err(Left::Changed);
            }
        }
        Ok(())
    }

    /// Moves the sealed form onto the original; `version`: only onto that one.
    async fn replace(
        &self,
        temporary: &Entry,
        entry: &Entry,
        version: Option<&Version>,
    ) -> Result<(), Left> {
        let mut ask = self.moving(&temporary.path, &entry.path, true)?;
        if let Some(tag) = version.and_then(|version| version.etag.as_deref()) {
            ask = ask.header(IF, &format!("<{}> ([{tag}])", self.url(&entry.path)));
        }
        let answer = self.done(ask, Cleared::empty()).await?;
        match answer.status() {
            status if status.is_success() && status != StatusCode::MULTI_STATUS => {
                match self.look(entry).await? {
                    Look::Sealed => Ok(()),
                    Look::Unsealed(_) => Err(Left::Unmoved),
                }
            }
            StatusCode::PRECONDITION_FAILED => {
                self.remove(temporary).await;
                Err(Left::Changed)
            }
            StatusCode::LOCKED => {
                self.remove(temporary).await;
                Err(refused(answer).into())
            }
            // what else it did is not known: the next run looks
            _ => Err(refused(answer).into()),
        }
    }

    /// What a sealed file opens to, read to its end.
    ///
    /// # Errors
    /// It is not whole, or is not sealed.
    pub(super) async fn opened(&self, entry: &Entry) -> Result<Measure, Left> {
        let response = self.get(entry).await?;
        let length = range::total(response.headers()).ok_or_else(no_length)?;
        let (front, body) = response.into_body().peek(HEADER).await.map_err(broken)?;
        let file = self.opener.file(&front, length).map_err(foreign)?;
        let damaged = || Refusal::new(&OBJECT_DAMAGED);
        let file = file.ok_or_else(damaged)?;
        // what a run writes is one run, whose trailer comes at its end
        let fetch = |_| async { Err::<Sealed, Refusal>(Refusal::new(&OBJECT_DAMAGED)) };
        let mut body = self
            .opener
            .whole(&file, body, fetch)
            .await
            .map_err(foreign)?;
        let mut measuring = Measuring::new();
        while let Some(piece) = next(&mut body).await? {
            measuring.update(&piece);
        }
        Ok(measuring.finish())
    }

    async fn get(&self, entry: &Entry) -> Result<Response<Sealed>, Refusal> {
        let response = self
            .send(self.ask(Method::GET, entry), Cleared::empty())
            .await?;
        match response.status() {
            StatusCode::OK => Ok(response),
            _ => Err(refused(response)),
        }
    }

    /// Removes what a run made. What stays, a later run finds.
    pub(super) async fn remove(&self, temporary: &Entry) {
        let removed = self
            .done(self.ask(Method::DELETE, temporary), Cleared::empty())
            .await;
        if let Err(refusal) = removed {
            tracing::debug!(%refusal, "a temporary file stays until the next run");
        }
    }
}

/// Of an original that was there.
fn changed(refusal: Refusal) -> Left {
    match is_gone(&refusal) {
        true => Left::Changed,
        false => refusal.into(),
    }
}

async fn next(body: &mut Released) -> Result<Option<bytes::Bytes>, Refusal> {
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.transpose().map_err(broken)? {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
