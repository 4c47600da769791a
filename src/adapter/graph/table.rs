//! The verdict on each family of paths, and why; whatever is not named is refused.

use http::{HeaderMap, Method};

use super::messages::filter::may_be_asked;
use super::messages::table::{self as messages, Action};
use super::route::{self, Api, Route};
use super::settings::Part;
use crate::error::{OPERATION_DENIED, OPERATION_UNKNOWN, PROTOCOL, Refusal, SEARCH_SEALED};
use crate::policy::Class;

/// Which handler serves a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// A file's bytes, or the redirect to them.
    Content,
    PutContent,
    CreateSession,
    /// An upload session's own address.
    Session,
    /// An answer that may hold items.
    Items,
    /// An answer that lists versions of one item.
    Versions,
    /// A document that names, places or copies an item.
    Change,
    /// A document that makes an item of an upload session.
    Commit,
    /// No document goes up, and what comes down may hold items.
    Bare,
    /// A list of nothing.
    Empty,
    Batch,
    /// A file of SharePoint's own interface.
    RestPut,
    /// An answer of it that may tell lengths.
    RestItems,
    /// A chunk of a file of it, or a question about such an upload.
    RestChunk,
    /// Messages, calendars, contacts and tasks.
    Message(Action),
    /// Passes as the policy says.
    Relay,
    /// Known, never served.
    Never,
}

/// What the answer's `$select` picks from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selection {
    /// Items of a drive.
    Items,
    /// An item that the request writes.
    Uploaded,
    /// Something else, in which items may be expanded.
    Others,
}

/// A family of requests.
#[derive(Debug)]
pub struct Row {
    /// The operation's name in the log.
    pub name: &'static str,
    /// Separated by spaces.
    pub methods: &'static str,
    pub(super) api: Api,
    /// As `route::matches` reads it.
    pub pattern: &'static str,
    pub(super) verb: Verb,
    pub class: Class,
    /// Why it is served so, or refused.
    pub reason: &'static str,
}

/// Invitations, links and permissions: who may read what, and the words that go with an invitation.
pub const SHARING: &str = "sharing";
/// Words that people write about files: descriptions, comments, columns of lists.
pub const PROPERTIES: &str = "properties";
/// Words that are looked for in names.
pub const SEARCH: &str = "search";
/// Reading users, groups, sites and lists.
pub const DIRECTORY: &str = "directory";
/// The groups that a policy may name.
pub const GROUPS: &[&str] = &[
    DIRECTORY,
    super::messages::OUTSIDE,
    PROPERTIES,
    SEARCH,
    SHARING,
];

impl Row {
    /// `None`: its query is not looked into.
    pub(super) fn selection(&self) -> Option<Selection> {
        let items = [
            "CreateFolder",
            "Delta",
            "GetItem",
            "ListChildren",
            "ListItems",
            "RestoreItem",
            "SearchNames",
            "UpdateItem",
        ];
        match self.verb {
            _ if self.api != Api::Graph => None,
            Verb::PutContent | Verb::Commit => Some(Selection::Uploaded),
            Verb::Items | Verb::Change if items.contains(&self.name) => Some(Selection::Items),
            Verb::Items | Verb::Change | Verb::Versions => Some(Selection::Others),
            _ => None,
        }
    }
}

const SEALED: &str = "file contents are sealed and opened";
const NAMES: &str =
    "names, places and times are the provider's; sizes and hashes become the plaintext's";
const NO_CONTENT: &str = "carries nothing of a file's content";
const READS: &str = "who and where, as the provider knows it";
const PLAINTEXT: &str = "The provider would have to read the file, which is sealed. Download it and open it with a program \
of this computer.";
const OFFICE_WEB: &str = "Office for the web and coauthoring work on the provider's machines, which can't read sealed files. \
Download the file and open it with Office on this computer, or use Double Key Encryption.";
const ONENOTE: &str = "The provider takes notebooks apart and writes them itself, so they can't be sealed. Keep notes as files.";
const SEARCHES: &str = "The provider can't find what is sealed, and would read what is looked for. Files are found by name \
with the drive's own search.";
const CHECKSUMS: &str = "A checksum of the plaintext would tell the provider of it. Send the file without one: the gateway \
checks what it seals.";
const EMPTY: &str = "An empty file made so would lie unsealed. `Files/add` makes a sealed one, and a chunked upload of the stub fills it.";
const VERSIONS: &str =
    "Versions are listed and read in the drive API, which tells them with their lengths.";
const COMMENT: &str = "its comment is read by the provider";
const COLUMNS: &str = "columns of a list are read by the provider";
const INSIDE: &str = "This interface carries contents in a form that the gateway does not know, so nothing of it passes.";

const fn row(
    name: &'static str,
    methods: &'static str,
    pattern: &'static str,
    verb: Verb,
    class: Class,
    reason: &'static str,
) -> Row {
    Row {
        name,
        methods,
        api: Api::Graph,
        pattern,
        verb,
        class,
        reason,
    }
}

pub(super) const fn pass(
    name: &'static str,
    methods: &'static str,
    pattern: &'static str,
    verb: Verb,
    reason: &'static str,
) -> Row {
    row(name, methods, pattern, verb, Class::Transform, reason)
}

pub(super) const fn deny(name: &'static str, pattern: &'static str, reason: &'static str) -> Row {
    row(name, "*", pattern, Verb::Never, Class::Deny(reason), reason)
}

pub(super) const fn by(
    group: &'static str,
    name: &'static str,
    methods: &'static str,
    pattern: &'static str,
    reason: &'static str,
) -> Row {
    row(
        name,
        methods,
        pattern,
        Verb::Relay,
        Class::ByPolicy(group),
        reason,
    )
}

pub(super) const fn at(api: Api, row: Row) -> Row {
    Row { api, ..row }
}

/// In the order in which they are looked through; messages come behind. `None`: whatever is served.
pub(super) const PARTS: [(Option<Part>, &[Row]); 3] = [
    (Some(Part::Files), FILES),
    (None, ANYWHERE),
    (Some(Part::Files), SHAREPOINT),
];

#[rustfmt::skip]
const FILES: &[Row] = &[
    // contents
    pass("GetContent", "GET HEAD", "<drive>/<item>/content", Verb::Content, SEALED),
    pass("GetContent", "GET HEAD", "<drive>/<item>/contentStream", Verb::Content, SEALED),
    pass("PutContent", "PUT", "<drive>/<item>/content", Verb::PutContent, SEALED),
    pass("CreateUploadSession", "POST", "<drive>/<item>/createUploadSession", Verb::CreateSession, SEALED),
    pass("CreateUploadSession", "POST", "<drive>/<item>/createSession", Verb::CreateSession, SEALED),
    pass("UploadSession", "PUT GET DELETE POST", "<drive>/<item>/uploadSession", Verb::Session, SEALED),
    pass("GetVersionContent", "GET HEAD", "<drive>/<item>/versions/{}/content", Verb::Content, SEALED),
    pass("CommitUploadSession", "PUT", "<drive>/<item>", Verb::Commit, "names an upload session; any other source is refused"),
    // items
    pass("GetDrive", "GET", "<drive>", Verb::Items, NAMES),
    pass("ListDrives", "GET", "drives", Verb::Items, NAMES),
    pass("ListDrives", "GET", "me/drives", Verb::Items, NAMES),
    pass("ListDrives", "GET", "{}/{}/drives", Verb::Items, NAMES),
    pass("ListItems", "GET", "<drive>/items", Verb::Items, NAMES),
    pass("ListItems", "GET", "<drive>/recent()", Verb::Items, NAMES),
    pass("ListItems", "GET", "<drive>/sharedWithMe()", Verb::Items, NAMES),
    pass("ListItems", "GET", "<drive>/following", Verb::Items, NAMES),
    pass("ListItems", "GET", "<drive>/special", Verb::Items, NAMES),
    pass("ListItems", "GET", "<drive>/bundles", Verb::Items, NAMES),
    pass("GetItem", "GET HEAD", "<drive>/<item>", Verb::Items, NAMES),
    pass("UpdateItem", "PATCH", "<drive>/<item>", Verb::Change, NAMES),
    pass("DeleteItem", "DELETE", "<drive>/<item>", Verb::Bare, NO_CONTENT),
    pass("DeleteItem", "POST", "<drive>/<item>/permanentDelete", Verb::Bare, NO_CONTENT),
    pass("ListChildren", "GET", "<drive>/<item>/children", Verb::Items, NAMES),
    pass("CreateFolder", "POST", "<drive>/<item>/children", Verb::Change, "makes folders; empty files are refused, since they would lie unsealed"),
    pass("GetItem", "GET", "<drive>/<item>/children/{}", Verb::Items, NAMES),
    pass("Delta", "GET", "<drive>/<item>/delta()", Verb::Items, NAMES),
    pass("Delta", "GET", "<drive>/delta()", Verb::Items, NAMES),
    row("SearchNames", "GET", "<drive>/<item>/search()", Verb::Items, Class::ByPolicy(SEARCH), "the provider reads what is looked for, and finds it in names alone"),
    row("SearchNames", "GET", "<drive>/search()", Verb::Items, Class::ByPolicy(SEARCH), "the provider reads what is looked for, and finds it in names alone"),
    pass("CopyItem", "POST", "<drive>/<item>/copy", Verb::Change, "the sealed bytes are copied as they are"),
    pass("CopyProgress", "GET", "monitor/{}", Verb::Items, NO_CONTENT),
    pass("CopyProgress", "GET", "operations/{}", Verb::Items, NO_CONTENT),
    pass("ListVersions", "GET", "<drive>/<item>/versions", Verb::Versions, NAMES),
    pass("GetVersion", "GET", "<drive>/<item>/versions/{}", Verb::Versions, NAMES),
    pass("DeleteVersion", "DELETE", "<drive>/<item>/versions/{}", Verb::Bare, NO_CONTENT),
    pass("RestoreVersion", "POST", "<drive>/<item>/versions/{}/restoreVersion", Verb::Bare, NO_CONTENT),
    pass("RestoreItem", "POST", "<drive>/<item>/restore", Verb::Change, NAMES),
    pass("CheckOut", "POST", "<drive>/<item>/checkout", Verb::Bare, NO_CONTENT),
    pass("DiscardCheckOut", "POST", "<drive>/<item>/discardCheckout", Verb::Bare, NO_CONTENT),
    by(PROPERTIES, "CheckIn", "POST", "<drive>/<item>/checkin", "its comment is read by the provider"),
    pass("Follow", "POST", "<drive>/<item>/follow", Verb::Bare, NO_CONTENT),
    pass("Unfollow", "POST", "<drive>/<item>/unfollow", Verb::Bare, NO_CONTENT),
    pass("GetListItem", "GET", "<drive>/<item>/listItem", Verb::Items, NAMES),
    pass("GetListItem", "GET", "<drive>/<item>/listItem/fields", Verb::Items, NAMES),
    by(PROPERTIES, "UpdateListItem", "PATCH", "<drive>/<item>/listItem/fields", COLUMNS),
    pass("GetList", "GET", "<drive>/list", Verb::Items, NAMES),
    pass("ListPermissions", "GET", "<drive>/<item>/permissions", Verb::Items, READS),
    pass("ListPermissions", "GET", "<drive>/<item>/permissions/{}", Verb::Items, READS),
    by(SHARING, "Share", "PATCH DELETE", "<drive>/<item>/permissions/{}", "the provider decides who may read what, and those outside read ciphertext"),
    by(SHARING, "Share", "POST", "<drive>/<item>/invite", "an invitation's words are read by the provider, and those outside read ciphertext"),
    by(SHARING, "Share", "POST", "<drive>/<item>/createLink", "a link serves ciphertext to those who do not come through the gateway"),
    // what needs plaintext
    pass("Thumbnails", "GET", "<drive>/<item>/thumbnails", Verb::Empty, "there are none of sealed files"),
    deny("Thumbnails", "<drive>/<item>/thumbnails/**", PLAINTEXT),
    deny("Preview", "<drive>/<item>/preview", PLAINTEXT),
    deny("Workbook", "<drive>/<item>/workbook/**", PLAINTEXT),
    deny("SensitivityLabel", "<drive>/<item>/extractSensitivityLabels", PLAINTEXT),
    deny("SensitivityLabel", "<drive>/<item>/assignSensitivityLabel", PLAINTEXT),
    deny("Search", "search/**", SEARCHES),
    deny("OneNote", "me/onenote/**", ONENOTE),
    deny("OneNote", "{}/{}/onenote/**", ONENOTE),
];

#[rustfmt::skip]
const ANYWHERE: &[Row] = &[
    by(DIRECTORY, "ReadDirectory", "GET", "me", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "users", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "users/{}", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "groups", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "groups/{}", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "organization", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "sites", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "sites/{}", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "sites/{}/sites", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "sites/{}/lists", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "sites/{}/lists/{}", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "me/memberOf", READS),
    by(DIRECTORY, "ReadDirectory", "GET", "me/followedSites", READS),
    pass("Batch", "POST", "$batch", Verb::Batch, "each inner request is judged by itself"),
];

#[rustfmt::skip]
const SHAREPOINT: &[Row] = &[
    at(Api::Page, pass("Download", "GET HEAD", "_layouts/15/download.aspx", Verb::Content, SEALED)),
    at(Api::Page, pass("Download", "GET HEAD", "{}/_layouts/15/download.aspx", Verb::Content, SEALED)),
    at(Api::Page, pass("Download", "GET HEAD", "{}/{}/_layouts/15/download.aspx", Verb::Content, SEALED)),
    at(Api::Page, deny("OfficeWeb", "_layouts/15/**", OFFICE_WEB)),
    at(Api::Page, deny("OfficeWeb", "{}/{}/_layouts/15/**", OFFICE_WEB)),
    at(Api::Page, deny("OfficeWeb", ":w:/**", OFFICE_WEB)),
    at(Api::Page, deny("OfficeWeb", ":x:/**", OFFICE_WEB)),
    at(Api::Page, deny("OfficeWeb", ":p:/**", OFFICE_WEB)),
    at(Api::Page, deny("OfficeWeb", ":o:/**", ONENOTE)),
    at(Api::Page, deny("Coauthoring", "_vti_bin/**", OFFICE_WEB)),
    at(Api::Page, deny("Coauthoring", "{}/{}/_vti_bin/**", OFFICE_WEB)),
    at(Api::Rest, pass("RestGetFile", "GET HEAD", "<item>/$value", Verb::Content, SEALED)),
    at(Api::Rest, pass("RestGetFile", "GET HEAD", "<item>/openbinarystream()", Verb::Content, SEALED)),
    at(Api::Rest, pass("RestGetFile", "GET HEAD", "listitem/attachmentfiles()/$value", Verb::Content, SEALED)),
    at(Api::Rest, pass("RestGetFile", "GET HEAD", "listitem/attachmentfiles/getbyfilename()/$value", Verb::Content, SEALED)),
    at(Api::Rest, pass("RestPutFile", "PUT", "<item>/$value", Verb::RestPut, SEALED)),
    at(Api::Rest, pass("RestPutFile", "POST", "<item>/savebinarystream()", Verb::RestPut, SEALED)),
    at(Api::Rest, pass("RestPutFile", "PUT", "listitem/attachmentfiles()/$value", Verb::RestPut, SEALED)),
    at(Api::Rest, pass("RestPutFile", "PUT", "listitem/attachmentfiles/getbyfilename()/$value", Verb::RestPut, SEALED)),
    at(Api::Rest, pass("RestPutFile", "POST", "<drive>/files/add()", Verb::RestPut, SEALED)),
    at(Api::Rest, pass("RestPutFile", "POST", "<drive>/files/addusingpath()", Verb::RestPut, SEALED)),
    at(Api::Rest, pass("RestPutFile", "POST", "listitem/attachmentfiles/add()", Verb::RestPut, SEALED)),
    at(Api::Rest, pass("RestPutFile", "POST", "listitem/attachmentfiles/addusingpath()", Verb::RestPut, SEALED)),
    at(Api::Rest, pass("RestChunks", "POST", "<item>/startupload()", Verb::RestChunk, SEALED)),
    at(Api::Rest, pass("RestChunks", "POST", "<item>/startuploadfile()", Verb::RestChunk, SEALED)),
    at(Api::Rest, pass("RestChunks", "POST", "<item>/continueupload()", Verb::RestChunk, SEALED)),
    at(Api::Rest, pass("RestChunks", "POST", "<item>/finishupload()", Verb::RestChunk, SEALED)),
    at(Api::Rest, pass("RestChunks", "POST", "<item>/cancelupload()", Verb::RestChunk, NO_CONTENT)),
    at(Api::Rest, pass("RestChunks", "GET POST", "<item>/getuploadstatus()", Verb::RestChunk, "the offset becomes the plaintext's")),
    at(Api::Rest, pass("RestChunks", "POST", "<drive>/files/addstub()/startupload()", Verb::RestChunk, SEALED)),
    at(Api::Rest, pass("RestChunks", "POST", "<drive>/files/addstub()/startuploadfile()", Verb::RestChunk, SEALED)),
    at(Api::Rest, pass("RestChunks", "POST", "<drive>/files/addstubusingpath()/startupload()", Verb::RestChunk, SEALED)),
    at(Api::Rest, pass("RestChunks", "POST", "<drive>/files/addstubusingpath()/startuploadfile()", Verb::RestChunk, SEALED)),
    at(Api::Rest, deny("RestAddStub", "<drive>/files/addstub()", EMPTY)),
    at(Api::Rest, deny("RestAddStub", "<drive>/files/addstubusingpath()", EMPTY)),
    at(Api::Rest, deny("RestAddTemplate", "<drive>/files/addtemplatefile()", PLAINTEXT)),
    at(Api::Rest, deny("RestChecksums", "<item>/uploadwithchecksum()", CHECKSUMS)),
    at(Api::Rest, deny("RestChecksums", "<item>/finishuploadwithchecksum()", CHECKSUMS)),
    at(Api::Rest, pass("RestGetItem", "GET", "<item>", Verb::RestItems, NAMES)),
    at(Api::Rest, pass("RestGetItem", "GET", "<item>/length", Verb::RestItems, NAMES)),
    at(Api::Rest, pass("RestGetItem", "GET", "<item>/listitemallfields", Verb::RestItems, READS)),
    at(Api::Rest, pass("RestGetItem", "GET", "<drive>", Verb::RestItems, NAMES)),
    at(Api::Rest, pass("RestListItems", "GET", "<drive>/files", Verb::RestItems, NAMES)),
    at(Api::Rest, pass("RestListItems", "GET", "<drive>/folders", Verb::RestItems, NAMES)),
    at(Api::Rest, pass("RestListItems", "GET", "web/folders", Verb::RestItems, NAMES)),
    at(Api::Rest, pass("RestListItems", "GET", "listitem/attachmentfiles()", Verb::RestItems, NAMES)),
    at(Api::Rest, pass("RestListItems", "GET", "listitem/attachmentfiles/getbyfilename()", Verb::RestItems, NAMES)),
    at(Api::Rest, pass("RestGetSite", "GET", "web", Verb::RestItems, READS)),
    at(Api::Rest, pass("RestAddFolder", "POST", "web/folders", Verb::Change, NO_CONTENT)),
    at(Api::Rest, pass("RestAddFolder", "POST", "web/folders/add()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestAddFolder", "POST", "web/folders/addusingpath()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestAddFolder", "POST", "<drive>/folders", Verb::Change, NO_CONTENT)),
    at(Api::Rest, pass("RestAddFolder", "POST", "<drive>/folders/add()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestAddFolder", "POST", "<drive>/folders/addusingpath()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestMove", "POST", "<item>/moveto()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestMove", "POST", "<item>/movetousingpath()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestMove", "POST", "<drive>/moveto()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestMove", "POST", "<drive>/movetousingpath()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestCopy", "POST", "<item>/copyto()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestCopy", "POST", "<item>/copytousingpath()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestDelete", "DELETE", "<item>", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestDelete", "DELETE", "<drive>", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestDelete", "POST", "<item>/recycle()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestDelete", "POST", "<item>/deleteobject()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestDelete", "POST", "<drive>/recycle()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestDelete", "POST", "<drive>/deleteobject()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestDelete", "DELETE", "listitem", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestDelete", "POST", "listitem/recycle()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestDelete", "DELETE", "listitem/attachmentfiles()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestDelete", "DELETE", "listitem/attachmentfiles/getbyfilename()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestCheckOut", "POST", "<item>/checkout()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, pass("RestCheckOut", "POST", "<item>/undocheckout()", Verb::RestItems, NO_CONTENT)),
    at(Api::Rest, by(PROPERTIES, "RestCheckIn", "POST", "<item>/checkin()", COMMENT)),
    at(Api::Rest, by(PROPERTIES, "RestCheckIn", "POST", "<item>/publish()", COMMENT)),
    at(Api::Rest, by(PROPERTIES, "RestCheckIn", "POST", "<item>/unpublish()", COMMENT)),
    at(Api::Rest, by(PROPERTIES, "RestWriteListItem", "POST", "web/lists()/items", COLUMNS)),
    at(Api::Rest, by(PROPERTIES, "RestWriteListItem", "POST", "web/lists/getbytitle()/items", COLUMNS)),
    at(Api::Rest, by(PROPERTIES, "RestWriteListItem", "POST", "web/lists/getbyid()/items", COLUMNS)),
    at(Api::Rest, by(PROPERTIES, "RestWriteListItem", "POST", "web/getlist()/items", COLUMNS)),
    at(Api::Rest, by(PROPERTIES, "RestWriteListItem", "MERGE PATCH", "listitem", COLUMNS)),
    at(Api::Rest, by(PROPERTIES, "RestWriteListItem", "MERGE PATCH", "<item>/listitemallfields", COLUMNS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "web/currentuser", READS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "web/siteusers", READS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "web/lists()", READS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "web/lists/getbytitle()", READS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "web/lists/getbyid()", READS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "web/getlist()", READS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "web/lists()/items", READS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "web/lists/getbytitle()/items", READS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "web/lists/getbyid()/items", READS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "web/getlist()/items", READS)),
    at(Api::Rest, by(DIRECTORY, "RestReadDirectory", "GET", "listitem", READS)),
    at(Api::Rest, pass("RequestDigest", "POST", "contextinfo", Verb::Bare, NO_CONTENT)),
    at(Api::Rest, deny("RestVersions", "<item>/versions()/**", VERSIONS)),
    at(Api::Rest, deny("RestPreview", "<item>/getimagepreviewuri()", PLAINTEXT)),
    at(Api::Rest, deny("RestPreview", "<item>/getimagepreviewurl()", PLAINTEXT)),
    at(Api::Rest, deny("RestOfficeWeb", "<item>/getwopiframeurl()", OFFICE_WEB)),
    at(Api::Rest, deny("Search", "search/**", SEARCHES)),
    at(Api::Rest, deny("RestBatch", "$batch", INSIDE)),
];

/// Fields that change what a request means, and that the gateway does not serve.
const REFUSED_FIELDS: &[(&str, &str)] = &[
    ("x-http-method-override", "Methods are not overridden here."),
    ("x-http-method", "Methods are not overridden here."),
    (
        "content-encoding",
        "A coded body is refused: send the file as it is.",
    ),
];

/// Of a drive's requests; the rest of a link to a next page is the provider's.
const QUERY: &[&str] = &[
    "$select",
    "$expand",
    "$top",
    "$skip",
    "$skiptoken",
    "$deltatoken",
    "$orderby",
    "$count",
    "select",
    "expand",
    "top",
    "skip",
    "skiptoken",
    "orderby",
    "token",
    "deltaexcludeparent",
    "includehiddensystemitems",
    "avoverride",
    "@microsoft.graph.conflictbehavior",
    "@name.conflictbehavior",
    "includeallversionhistory",
];

/// # Errors
/// The request is of no family, or of one that is not served, or holds what changes its meaning.
pub(super) fn classify(
    method: &Method,
    route: &Route<'_>,
    headers: &HeaderMap,
    serves: &[Part],
) -> Result<&'static Row, Refusal> {
    let method = meant(method, route.api, headers)?;
    let (part, row) = find(&method, route).ok_or_else(|| {
        let mut refusal = Refusal::new(&OPERATION_UNKNOWN);
        // clients try again when they are answered 501
        refusal.status = Some(403);
        refusal
    })?;
    // what is never served says why by itself
    if let Some(part) = part.filter(|part| !serves.contains(part) && row.verb != Verb::Never) {
        return Err(Refusal::new(&OPERATION_DENIED)
            .message(format!("This service does not serve `{}`.", part.name())));
    }
    match REFUSED_FIELDS
        .iter()
        .filter(|(name, _)| route.api != Api::Rest || *name != "x-http-method")
        .find(|(name, _)| headers.contains_key(*name))
    {
        Some((_, why)) => Err(Refusal::new(&PROTOCOL).message(*why)),
        None => Ok(row),
    }
}

/// SharePoint's own interface lets a POST stand for other methods.
fn meant(method: &Method, api: Api, headers: &HeaderMap) -> Result<Method, Refusal> {
    let mut given = headers.get_all("x-http-method").iter();
    let (Some(other), Api::Rest) = (given.next(), api) else {
        return Ok(method.clone());
    };
    let meant = Method::from_bytes(&other.as_bytes().to_ascii_uppercase());
    match meant {
        Ok(meant) if *method == Method::POST && given.next().is_none() => Ok(meant),
        _ => Err(Refusal::new(&PROTOCOL).message("The method can't be read in one way only.")),
    }
}

/// All families, each with the part that it belongs to.
fn families() -> impl Iterator<Item = (Option<Part>, &'static Row)> {
    let messages = messages::PARTS.map(|(part, rows)| (Some(part), rows));
    let parts = PARTS.into_iter().chain(messages);
    parts.flat_map(|(part, rows)| rows.iter().map(move |row| (part, row)))
}

fn find(method: &Method, route: &Route<'_>) -> Option<(Option<Part>, &'static Row)> {
    families().find(|(_, row)| {
        let served =
            row.methods == "*" || row.methods.split(' ').any(|name| name == method.as_str());
        served && row.api == route.api && route::matches(row.pattern, &route.places)
    })
}

/// # Errors
/// A query that asks for what the provider can't do with sealed files, or that is not known. Addresses that the provider
/// made itself (sessions, downloads, links to monitors) are not looked into.
pub(super) fn check_query(row: &Row, query: &str) -> Result<(), Refusal> {
    let own = matches!(row.verb, Verb::Session | Verb::Relay) || row.api != Api::Graph;
    if own || row.pattern.starts_with("monitor") || row.pattern.starts_with("operations") {
        return Ok(());
    }
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .to_ascii_lowercase()
    };
    if row.reason == SEARCHES {
        return Err(Refusal::new(&SEARCH_SEALED).message(SEARCHES));
    }
    let message = matches!(row.verb, Verb::Message(_));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name);
        let value = decoded(value);
        if message && may_be_asked(&name, &value) {
            continue;
        }
        let within = name.ends_with("expand")
            && ["filter=", "search=", "orderby="]
                .iter()
                .any(|asked| value.contains(asked));
        let sorted = message && matches!(name.as_str(), "$orderby" | "orderby");
        if within || sorted {
            return Err(Refusal::new(&SEARCH_SEALED));
        }
        if matches!(
            name.as_str(),
            "$search" | "$filter" | "search" | "filter" | "q"
        ) {
            return Err(Refusal::new(&SEARCH_SEALED));
        }
        if name == "format" || name == "width" || name == "height" {
            return Err(Refusal::new(&OPERATION_DENIED).message(PLAINTEXT));
        }
        if !QUERY.contains(&name.as_str()) {
            return Err(Refusal::new(&PROTOCOL)
                .message(format!("The query option `{name}` is not known here.")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_its_reason_and_a_method() {
        for (_, row) in families() {
            assert!(row.reason.len() > 10, "{}", row.name);
            let known = |name: &str| {
                matches!(
                    name,
                    "*" | "GET" | "HEAD" | "PUT" | "POST" | "PATCH" | "DELETE" | "MERGE"
                )
            };
            assert!(row.methods.split(' ').all(known), "{}", row.name);
            assert_eq!(
                row.verb == Verb::Never,
                matches!(row.class, Class::Deny(_)),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn what_is_not_served_is_refused() {
        for (path, part) in [
            ("/v1.0/me/drive/root/children", Part::Files),
            ("/v1.0/me/messages", Part::Mail),
            ("/v1.0/me/events", Part::Calendars),
            ("/v1.0/me/contacts", Part::Contacts),
            ("/v1.0/me/planner/tasks", Part::Tasks),
            ("/v1.0/me/chats", Part::Teams),
        ] {
            let route = route::graph(path).unwrap();
            let classified = |serves: &[Part]| {
                classify(&Method::GET, &route, &HeaderMap::new(), serves).map(|row| row.name)
            };
            assert!(classified(&[part]).is_ok(), "{path}");
            let others: Vec<Part> = Part::ALL.into_iter().filter(|one| *one != part).collect();
            let refusal = classified(&others).unwrap_err();
            assert_eq!(refusal.code.name, "operation-denied", "{path}");
            assert!(refusal.message.unwrap().contains(part.name()), "{path}");
        }
        let route = route::graph("/v1.0/me").unwrap();
        assert!(classify(&Method::GET, &route, &HeaderMap::new(), &[Part::Teams]).is_ok());
    }

    #[test]
    fn a_query_that_is_not_known_is_refused() {
        let row = FILES.iter().find(|row| row.name == "ListChildren").unwrap();
        for query in [
            "",
            "$top=200&$skiptoken=x",
            "%24select=id",
            "select=id,name",
        ] {
            assert!(check_query(row, query).is_ok(), "{query}");
        }
        for query in ["$search=a", "%24filter=size%20gt%201", "format=pdf", "x=1"] {
            assert!(check_query(row, query).is_err(), "{query}");
        }
    }
}
