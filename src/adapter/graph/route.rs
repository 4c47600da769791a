//! Paths of the drive API in one form, however they name the owner, the drive and the item. The same API is served at
//! `graph.microsoft.com/v1.0`, `/beta` and `TENANT.sharepoint.com/_api/v2.0`.

use crate::error::{PROTOCOL, Refusal};

/// A path's segment, or what several of them name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'p> {
    /// A drive: `me/drive`, `drives/ID`, `sites/ID/drive`, `shares/ID`.
    Drive,
    /// An item of it: `root`, `items/ID`, `root:/PATH:`, `items/ID:/NAME:`, `special/NAME`, `driveItem`.
    Item,
    Word(&'p str),
}

/// Which interface a path belongs to, and the path in one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route<'p> {
    pub api: Api,
    pub places: Vec<Place<'p>>,
    /// The drive's id, where the path names it.
    pub drive: Option<&'p str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    /// Microsoft Graph, and the drive API at SharePoint.
    Graph,
    /// SharePoint's own REST interface, `_api/web` and the like.
    Rest,
    /// What browsers and Office ask SharePoint for.
    Page,
    /// Outlook's REST interface.
    Outlook,
}

/// # Errors
/// A path that servers may read in two ways.
pub(super) fn check(path: &str) -> Result<(), Refusal> {
    let wrong = |why: &'static str| Err(Refusal::new(&PROTOCOL).message(why));
    let escapes = ["%2f", "%5c", "%3a", "%00", "%2e", "\\"];
    let (mut before, mut inside) = (["", ""], false);
    let lower = path.to_ascii_lowercase();
    for segment in lower.split('/') {
        let plain = match before {
            [_, "items"] => escaped_path(segment),
            _ => inside.then(|| segment.replace("%2f", "/")),
        };
        let parts = plain.as_deref().unwrap_or(segment);
        // the identifiers of channels and chats have a colon
        let named = matches!(before[1], "channels" | "chats");
        let separates = |escape: &str| parts.contains(escape) && !(named && escape == "%3a");
        if escapes.iter().any(|escape| separates(escape)) {
            return wrong("The path holds a separator in an escaped form.");
        }
        // a single dot behind an escaped separator stays within the path to the item, whoever takes it away
        let dots = |part: &str| part.trim_end_matches(':') == "..";
        if segment == "." || parts.split('/').any(dots) {
            return wrong("The path has a segment of dots.");
        }
        if parts.contains('/') && parts.split('/').any(str::is_empty) {
            return wrong("The path has an empty segment.");
        }
        inside = match (inside, before, segment) {
            (true, ..) => !segment.ends_with(':'),
            (false, [_, "drive"] | ["drives", _], "root:") => true,
            _ => false,
        };
        before = [before[1], segment];
    }
    let behind = without_version(path);
    if !behind.starts_with('/') || behind.contains("//") {
        return wrong("The path has an empty segment.");
    }
    Ok(())
}

/// The path behind the version and the empty segment that Microsoft's own clients leave there (`/v1.0//me`).
fn without_version(path: &str) -> &str {
    let versions = ["/v1.0/", "/beta/"];
    let rest = versions
        .iter()
        .find_map(|version| path.strip_prefix(version));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// `root:/PATH:` in one escaped segment behind `items`, as the msgraph SDK writes it, in lower case, with plain slashes.
/// Whether a server unescapes it or not, it names an item, and what stands behind it stays what it is.
fn escaped_path(segment: &str) -> Option<String> {
    let path = segment.strip_prefix("root%3a%2f")?.strip_suffix("%3a")?;
    Some(path.replace("%2f", "/"))
}

/// The path at `graph.microsoft.com`. `None`: no version that is known.
pub(super) fn graph(path: &str) -> Option<Route<'_>> {
    let segments = segments(path);
    let (version, rest) = segments.split_first()?;
    let rest = rest.strip_prefix(&[""]).unwrap_or(rest);
    matches!(*version, "v1.0" | "beta").then(|| drive_api(rest))
}

/// The path at a SharePoint host.
pub(super) fn sharepoint(path: &str) -> Route<'_> {
    let segments = segments(path);
    let api = segments
        .iter()
        .position(|segment| segment.eq_ignore_ascii_case("_api"));
    if let Some(at) = api {
        let rest = &segments[at + 1..];
        return drive_api(rest.get(1..).unwrap_or_default());
    }
    words(Api::Page, &segments)
}

pub(super) fn outlook(path: &str) -> Route<'_> {
    words(Api::Outlook, &segments(path))
}

pub(super) fn segments(path: &str) -> Vec<&str> {
    path.trim_matches('/').split('/').collect()
}

fn words<'p>(api: Api, segments: &[&'p str]) -> Route<'p> {
    Route {
        api,
        places: segments.iter().map(|word| Place::Word(word)).collect(),
        drive: None,
    }
}

/// A word without the namespace that OData lets stand before functions and actions.
fn unqualified(word: &str) -> &str {
    let prefixes = ["microsoft.graph.", "oneDrive.", "action.", "upload."];
    prefixes
        .iter()
        .find_map(|prefix| {
            let (head, rest) = word.split_at_checked(prefix.len())?;
            head.eq_ignore_ascii_case(prefix).then_some(rest)
        })
        .unwrap_or(word)
}

struct Reader<'s, 'p> {
    rest: &'s [&'p str],
    places: Vec<Place<'p>>,
    drive: Option<&'p str>,
}

impl<'p> Reader<'_, 'p> {
    fn is(&self, at: usize, word: &str) -> bool {
        self.rest
            .get(at)
            .is_some_and(|segment| segment.eq_ignore_ascii_case(word))
    }

    fn skip(&mut self, n: usize) {
        self.rest = self.rest.get(n..).unwrap_or_default();
    }

    /// Moves to the places as they are.
    fn take(&mut self, n: usize) {
        let n = n.min(self.rest.len());
        let (taken, rest) = self.rest.split_at(n);
        self.places
            .extend(taken.iter().map(|word| Place::Word(unqualified(word))));
        self.rest = rest;
    }

    /// Passes over a path between colons, whose first segment (which ends in one) stands at `at`.
    fn colons(&mut self, at: usize) {
        let after = self.rest.get(at + 1..).unwrap_or_default();
        let end = after.iter().position(|segment| segment.ends_with(':'));
        self.skip(at + 1 + end.map_or(after.len(), |end| end + 1));
    }

    fn owner(&mut self) {
        if self.is(0, "me") {
            self.take(1);
        } else if self.is(0, "sites") && self.rest.get(1).is_some_and(|id| id.ends_with(':')) {
            self.take(1);
            self.colons(0);
            self.places.push(Place::Word("-"));
        } else if ["users", "groups", "sites"].iter().any(|w| self.is(0, w)) {
            self.take(2);
        }
        while self.is(0, "sites") && self.rest.len() > 2 {
            self.take(2);
        }
        if self.is(0, "lists") && self.is(2, "drive") {
            self.skip(2);
        }
    }

    /// Whether a drive is named; what named its owner is then of no interest.
    fn drive(&mut self) -> bool {
        let named = if self.is(0, "drive") {
            self.skip(1);
            true
        } else if self.is(0, "drives") && self.rest.len() > 1 {
            self.drive = Some(self.rest[1]);
            self.skip(2);
            true
        } else {
            false
        };
        if named {
            self.places = vec![Place::Drive];
        }
        named
    }

    /// `lists/ID/items/ID/driveItem`, `shares/ID/driveItem`.
    fn other_item(&mut self) -> bool {
        let list = self.is(0, "lists") && self.is(2, "items") && self.is(4, "driveItem");
        let share = self.is(0, "shares") && self.rest.len() > 1;
        if list {
            self.skip(5);
        } else if share {
            if self.is(2, "driveItem") || self.is(2, "root") {
                self.skip(3);
            } else if self.is(2, "items") && self.rest.len() > 3 {
                self.skip(4);
            } else {
                return false;
            }
        }
        if list || share {
            self.places = vec![Place::Drive, Place::Item];
        }
        list || share
    }

    fn item(&mut self) {
        let ends = |at: usize| {
            self.rest
                .get(at)
                .is_some_and(|segment| segment.ends_with(':'))
        };
        if self.is(0, "root") {
            self.skip(1);
        } else if self.is(0, "root:") {
            self.colons(0);
        } else if ["items", "special", "following", "bundles"]
            .iter()
            .any(|word| self.is(0, word))
            && self.rest.len() > 1
        {
            match ends(1) {
                true => self.colons(1),
                false => self.skip(2),
            }
        } else {
            return;
        }
        self.places.push(Place::Item);
    }
}

fn drive_api<'p>(segments: &[&'p str]) -> Route<'p> {
    let mut reader = Reader {
        rest: segments,
        places: Vec::with_capacity(6),
        drive: None,
    };
    reader.owner();
    if reader.drive() {
        reader.item();
    } else {
        reader.other_item();
    }
    reader.take(usize::MAX);
    Route {
        api: Api::Graph,
        places: reader.places,
        drive: reader.drive,
    }
}

/// Whether the places are those of a pattern: words, `{}` for any one that is no word of OData (`$count`), `{id}` for one that may hold colons, `**` for any rest, `<drive>`, `<item>`, `<who>` at the beginning for `me` or `users/ID`, and
/// `name()` for a function with any arguments, or none and no parentheses.
pub(super) fn matches(pattern: &str, places: &[Place<'_>]) -> bool {
    let places = match pattern.strip_prefix("<who>") {
        None => places,
        Some(_) => match behind_who(places) {
            Some(places) => places,
            None => return false,
        },
    };
    let pattern = pattern.strip_prefix("<who>/").unwrap_or(pattern);
    let mut places = places.iter();
    for part in pattern.split('/') {
        if part == "**" {
            return true;
        }
        let Some(place) = places.next() else {
            return false;
        };
        let fits = match (part, place) {
            ("<drive>", Place::Drive) | ("<item>", Place::Item) => true,
            ("{id}", Place::Word(word)) => !word.ends_with(':') && !word.contains('('),
            ("{}", Place::Word(word)) => !word.contains([':', '(']) && !word.starts_with('$'),
            (part, Place::Word(word)) => match part.strip_suffix("()") {
                Some(name) => function(word).eq_ignore_ascii_case(name),
                None => word.eq_ignore_ascii_case(part),
            },
            _ => false,
        };
        if !fits {
            return false;
        }
    }
    places.next().is_none()
}

/// What stands behind `me` or `users/ID`.
fn behind_who<'s, 'p>(places: &'s [Place<'p>]) -> Option<&'s [Place<'p>]> {
    match places {
        [Place::Word(me), rest @ ..] if me.eq_ignore_ascii_case("me") => Some(rest),
        [Place::Word(users), Place::Word(_), rest @ ..] if users.eq_ignore_ascii_case("users") => {
            Some(rest)
        }
        _ => None,
    }
}

/// A function's name.
pub(super) fn function(word: &str) -> &str {
    word.split_once('(')
        .filter(|(_, rest)| rest.ends_with(')'))
        .map_or(word, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> String {
        let route = graph(path).unwrap();
        let places: Vec<&str> = route
            .places
            .iter()
            .map(|place| match place {
                Place::Drive => "<drive>",
                Place::Item => "<item>",
                Place::Word(word) => word,
            })
            .collect();
        places.join("/")
    }

    #[test]
    fn every_form_of_the_path_to_a_file_is_one() {
        for path in [
            "/v1.0/me/drive/items/01AB/content",
            "/beta/me/drive/root:/a/b.txt:/content",
            "/v1.0/drives/b!x/items/01AB/content",
            "/v1.0/drives/b!x/root:/a%20b:/content",
            "/v1.0/users/u@x.fr/drive/items/01AB:/b.txt:/content",
            "/v1.0/groups/g/drive/special/documents:/a:/content",
            "/v1.0/sites/h,1,2/drive/items/01/content",
            "/v1.0/sites/h:/sites/team:/drive/root:/a:/content",
            "/v1.0/sites/h,1,2/drives/b!x/items/01/content",
            "/v1.0/sites/x/lists/l/items/1/driveItem/content",
            "/v1.0/sites/x/lists/l/drive/root:/a:/content",
            "/v1.0/sites/x/sites/y/drive/items/1/content",
            "/v1.0/shares/u!abc/driveItem/content",
            "/v1.0/shares/u!abc/items/1/content",
            "/v1.0/ME/Drive/Items/01AB/content",
        ] {
            assert_eq!(shown(path), "<drive>/<item>/content", "{path}");
        }
        assert_eq!(shown("/v1.0/me/drive/root:/a/content"), "<drive>/<item>");
        assert_eq!(shown("/v1.0/me/drive"), "<drive>");
        assert_eq!(shown("/v1.0/me/drive/items"), "<drive>/items");
        assert_eq!(shown("/v1.0/me/messages/1"), "me/messages/1");
        assert_eq!(
            shown("/v1.0/me/drive/root/microsoft.graph.delta(token='x')"),
            "<drive>/<item>/delta(token='x')"
        );
        let route = sharepoint("/sites/s/_api/v2.0/drives/b!x/items/1/uploadSession");
        assert_eq!(route.drive, Some("b!x"));
        assert!(matches("<drive>/<item>/uploadSession", &route.places));
        assert!(graph("/v2/me").is_none() && graph("/").is_none());
    }

    #[test]
    fn what_servers_may_read_otherwise_is_refused() {
        for path in [
            "/v1.0/me/drive/items/a%2fcontent",
            "/v1.0/me/drive/root:/a%3A/content",
            "/v1.0/me//messages",
            "/v1.0///me",
            "/v1.0/drives/d/items/root%3A%2Fa%2F..%2Fb%3A/content",
            "/v1.0/drives/d/items/root%3A%2Fa%3A%2Fcontent",
            "/v1.0/drives/d/items/root%3A%2Fa%2Fb%2e%3A/content",
            "/v1.0/me/drive/root%3A%2Fa%3A/content",
            "/v1.0/me/drive/root:/a%3A%2Fcontent",
            "/v1.0/me/drive/root:/.%2F..%2Fa",
            "/v1.0/me/drive/root:/a%2F..:/content",
            "/v1.0/me/drive/root:/a%2F%2Fb",
            "/v1.0/me/drive/root:/./a",
            "/v1.0/me/drive/root:/a:/content%2Fb",
            "/v1.0/me/drive/root/a%2Fb",
            "/v1.0/me/messages/root:/a%2Fb",
            "/v1.0/me/../me",
            "/v1.0/chats/19%3Ab%2Fmessages",
            "/v1.0/chats/x/messages/19%3Ab",
            "/v1.0/me/%2e%2e/x",
        ] {
            assert!(check(path).is_err(), "{path}");
        }
        for path in [
            "/v1.0/me/drive/root:/d%C3%A9j%C3%A0.txt:/content",
            "/v1.0/me/drive/root:/100%25%20a%252Fb.txt:/content",
            "/v1.0/teams/t/channels/19%3Ab%40thread.tacv2/messages",
            "/v1.0/chats/19%3Ab%40thread.v2/messages",
        ] {
            assert!(check(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn what_clients_write_is_read() {
        for (path, want) in [
            ("/v1.0//me/messages", "me/messages"),
            (
                "/v1.0/drives/d/items/root%3A%2Fa%2Fb.txt%3A/content",
                "<drive>/<item>/content",
            ),
            ("/v1.0/me/drive/root:/.%2Fa%2Fb.txt", "<drive>/<item>"),
            (
                "/v1.0/drives/d/root:/.%2fa%2fb.txt:/content",
                "<drive>/<item>/content",
            ),
        ] {
            assert!(check(path).is_ok(), "{path}");
            assert_eq!(shown(path), want);
        }
    }

    #[test]
    fn patterns() {
        let route = graph("/v1.0/me/drive/root/search(q='a')").unwrap();
        assert!(matches("<drive>/<item>/search()", &route.places));
        assert!(!matches("<drive>/<item>/delta()", &route.places));
        assert!(!matches("<drive>/<item>", &route.places));
        assert!(matches("<drive>/<item>/**", &route.places));
        for path in ["/v1.0/me/messages/A", "/beta/users/u@x.fr/messages/A"] {
            let route = graph(path).unwrap();
            assert!(matches("<who>/messages/{}", &route.places), "{path}");
            assert!(!matches("<who>/messages", &route.places), "{path}");
        }
        let route = graph("/v1.0/me/onenote/pages/1/content").unwrap();
        assert!(matches("me/onenote/**", &route.places) && matches("{}/onenote/**", &route.places));
    }
}
