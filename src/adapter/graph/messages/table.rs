//! Families of messages, calendars, contacts and tasks.

use super::shape::{self, Shape};
use crate::adapter::graph::route::Api;
use crate::adapter::graph::table::{DIRECTORY, Row, Verb, at, by, deny, pass};

/// What is done with a request about messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// What comes down is opened.
    Read,
    /// What goes up is sealed, what comes down is opened.
    Write(Document),
    /// A draft goes out: whoever gets it must be able to read it.
    Send,
    /// An answer to a message, whose writer gets it.
    Answer,
    /// An attachment's bytes.
    File,
    /// A session for a long attachment.
    Attach,
    /// A whole message in MIME.
    Whole,
}

/// What a document describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    Mail,
    /// A whole message, always in MIME.
    Whole,
    SendMail,
    Answer,
    Move,
    Folder,
    Attachment,
    Event,
    Contact,
    Task,
    Checklist,
    PlanTask,
    PlanDetails,
    ChatMessage,
    Chat,
    Reaction,
    Nothing,
}

impl Document {
    pub(super) fn shape(self) -> &'static Shape {
        match self {
            Self::Mail | Self::Whole => &shape::MAIL,
            Self::SendMail => &shape::SEND_MAIL,
            Self::Answer => &shape::ANSWER,
            Self::Move => &shape::MOVE,
            Self::Folder => &shape::FOLDER,
            Self::Attachment => &shape::ATTACHMENT,
            Self::Event => &shape::EVENT,
            Self::Contact => &shape::CONTACT,
            Self::Task => &shape::TASK,
            Self::Checklist => &shape::CHECKLIST,
            Self::PlanTask => &shape::PLAN_TASK,
            Self::PlanDetails => &shape::PLAN_DETAILS,
            Self::ChatMessage => &shape::CHAT_MESSAGE,
            Self::Chat => &shape::CHAT,
            Self::Reaction => &shape::REACTION,
            Self::Nothing => &shape::NOTHING,
        }
    }
}

const TEXTS: &str =
    "texts and attached files are sealed and opened; people, times and marks are the provider's";
const OPENED: &str = "texts and attached files are opened";
const SESSION: &str = "the attachment's name and bytes are sealed";
const NO_TEXT: &str = "carries nothing that people wrote";
const PUSHED: &str = "Notifications of changes go past the gateway, to whoever subscribes; what is sealed in them is opened with \
`sceau open --token`.";
const RULES: &str = "The provider would have to read messages for this, which are sealed.";

const fn read(name: &'static str, pattern: &'static str) -> Row {
    pass(name, "GET", pattern, Verb::Message(Action::Read), OPENED)
}

const fn write(
    name: &'static str,
    methods: &'static str,
    pattern: &'static str,
    document: Document,
) -> Row {
    pass(
        name,
        methods,
        pattern,
        Verb::Message(Action::Write(document)),
        TEXTS,
    )
}

const fn session(pattern: &'static str) -> Row {
    pass(
        "CreateAttachmentSession",
        "POST",
        pattern,
        Verb::Message(Action::Attach),
        SESSION,
    )
}

const fn file(name: &'static str, pattern: &'static str) -> Row {
    pass(name, "GET", pattern, Verb::Message(Action::File), OPENED)
}

const fn drop(name: &'static str, pattern: &'static str) -> Row {
    pass(name, "DELETE", pattern, Verb::Bare, NO_TEXT)
}

use Document as D;

/// In the order in which they are looked through, behind those of files. `<who>` is `me` or `users/ID`.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // mail
    write("SendMail", "POST", "<who>/sendMail", D::SendMail),
    read("ListMessages", "<who>/messages"),
    read("ListMessages", "<who>/messages/delta()"),
    read("ListMessages", "<who>/mailFolders/{}/messages"),
    read("ListMessages", "<who>/mailFolders/{}/messages/delta()"),
    write("CreateMessage", "POST", "<who>/messages", D::Mail),
    write("CreateMessage", "POST", "<who>/mailFolders/{}/messages", D::Mail),
    read("GetMessage", "<who>/messages/{}"),
    read("GetMessage", "<who>/mailFolders/{}/messages/{}"),
    write("UpdateMessage", "PATCH", "<who>/messages/{}", D::Mail),
    write("UpdateMessage", "PATCH", "<who>/mailFolders/{}/messages/{}", D::Mail),
    drop("DeleteMessage", "<who>/messages/{}"),
    drop("DeleteMessage", "<who>/mailFolders/{}/messages/{}"),
    pass("SendDraft", "POST", "<who>/messages/{}/send", Verb::Message(Action::Send), "its readers are looked at first"),
    pass("Answer", "POST", "<who>/messages/{}/reply", Verb::Message(Action::Answer), TEXTS),
    pass("Answer", "POST", "<who>/messages/{}/replyAll", Verb::Message(Action::Answer), TEXTS),
    pass("Answer", "POST", "<who>/messages/{}/forward", Verb::Message(Action::Answer), TEXTS),
    pass("Answer", "POST", "<who>/messages/{}/createReply", Verb::Message(Action::Answer), TEXTS),
    pass("Answer", "POST", "<who>/messages/{}/createReplyAll", Verb::Message(Action::Answer), TEXTS),
    pass("Answer", "POST", "<who>/messages/{}/createForward", Verb::Message(Action::Answer), TEXTS),
    write("MoveMessage", "POST", "<who>/messages/{}/move", D::Move),
    write("MoveMessage", "POST", "<who>/messages/{}/copy", D::Move),
    pass("GetMessageAsMime", "GET", "<who>/messages/{}/$value", Verb::Message(Action::Whole), OPENED),
    pass("GetMessageAsMime", "GET", "<who>/mailFolders/{}/messages/{}/$value", Verb::Message(Action::Whole), OPENED),
    write("ReplaceDraft", "PUT", "<who>/messages/{}/$value", D::Whole),
    read("ListAttachments", "<who>/messages/{}/attachments"),
    write("AddAttachment", "POST", "<who>/messages/{}/attachments", D::Attachment),
    session("<who>/messages/{}/attachments/createUploadSession"),
    session("<who>/mailFolders/{}/messages/{}/attachments/createUploadSession"),
    at(Api::Outlook, pass("AttachmentSession", "PUT GET DELETE", "api/{}/users()/messages()/attachmentSessions()", Verb::Session, SESSION)),
    at(Api::Outlook, pass("AttachmentSession", "PUT GET DELETE", "api/{}/users()/events()/attachmentSessions()", Verb::Session, SESSION)),
    read("GetAttachment", "<who>/messages/{}/attachments/{}"),
    drop("DeleteAttachment", "<who>/messages/{}/attachments/{}"),
    file("GetAttachmentFile", "<who>/messages/{}/attachments/{}/$value"),
    read("ListFolders", "<who>/mailFolders"),
    read("ListFolders", "<who>/mailFolders/delta()"),
    read("ListFolders", "<who>/mailFolders/{}"),
    read("ListFolders", "<who>/mailFolders/{}/childFolders"),
    write("WriteFolder", "POST", "<who>/mailFolders", D::Folder),
    write("WriteFolder", "POST", "<who>/mailFolders/{}/childFolders", D::Folder),
    write("WriteFolder", "PATCH", "<who>/mailFolders/{}", D::Folder),
    drop("DeleteFolder", "<who>/mailFolders/{}"),
    deny("MessageRules", "<who>/mailFolders/{}/messageRules/**", RULES),
    // calendars
    read("ListEvents", "<who>/events"),
    read("ListEvents", "<who>/calendar/events"),
    read("ListEvents", "<who>/calendars/{}/events"),
    read("ListEvents", "<who>/calendarView"),
    read("ListEvents", "<who>/calendarView/delta()"),
    read("ListEvents", "<who>/calendar/calendarView"),
    read("ListEvents", "<who>/events/{}/instances"),
    read("GetEvent", "<who>/events/{}"),
    read("GetEvent", "<who>/calendar/events/{}"),
    read("ListCalendars", "<who>/calendars"),
    read("ListCalendars", "<who>/calendar"),
    write("CreateEvent", "POST", "<who>/events", D::Event),
    write("CreateEvent", "POST", "<who>/calendar/events", D::Event),
    write("CreateEvent", "POST", "<who>/calendars/{}/events", D::Event),
    write("UpdateEvent", "PATCH", "<who>/events/{}", D::Event),
    write("UpdateEvent", "PATCH", "<who>/calendar/events/{}", D::Event),
    drop("DeleteEvent", "<who>/events/{}"),
    drop("DeleteEvent", "<who>/calendar/events/{}"),
    read("ListAttachments", "<who>/events/{}/attachments"),
    write("AddAttachment", "POST", "<who>/events/{}/attachments", D::Attachment),
    read("GetAttachment", "<who>/events/{}/attachments/{}"),
    drop("DeleteAttachment", "<who>/events/{}/attachments/{}"),
    file("GetAttachmentFile", "<who>/events/{}/attachments/{}/$value"),
    session("<who>/events/{}/attachments/createUploadSession"),
    // contacts
    read("ListContacts", "<who>/contacts"),
    read("ListContacts", "<who>/contacts/delta()"),
    read("ListContacts", "<who>/contactFolders/{}/contacts"),
    read("GetContact", "<who>/contacts/{}"),
    write("CreateContact", "POST", "<who>/contacts", D::Contact),
    write("CreateContact", "POST", "<who>/contactFolders/{}/contacts", D::Contact),
    write("UpdateContact", "PATCH", "<who>/contacts/{}", D::Contact),
    drop("DeleteContact", "<who>/contacts/{}"),
    // tasks
    read("ListTaskLists", "<who>/todo/lists"),
    read("ListTaskLists", "<who>/todo/lists/{}"),
    write("WriteTaskList", "POST", "<who>/todo/lists", D::Folder),
    write("WriteTaskList", "PATCH", "<who>/todo/lists/{}", D::Folder),
    drop("DeleteTaskList", "<who>/todo/lists/{}"),
    read("ListTasks", "<who>/todo/lists/{}/tasks"),
    read("ListTasks", "<who>/todo/lists/{}/tasks/delta()"),
    read("GetTask", "<who>/todo/lists/{}/tasks/{}"),
    write("CreateTask", "POST", "<who>/todo/lists/{}/tasks", D::Task),
    write("UpdateTask", "PATCH", "<who>/todo/lists/{}/tasks/{}", D::Task),
    drop("DeleteTask", "<who>/todo/lists/{}/tasks/{}"),
    read("ListChecklist", "<who>/todo/lists/{}/tasks/{}/checklistItems"),
    write("WriteChecklist", "POST", "<who>/todo/lists/{}/tasks/{}/checklistItems", D::Checklist),
    write("WriteChecklist", "PATCH", "<who>/todo/lists/{}/tasks/{}/checklistItems/{}", D::Checklist),
    drop("DeleteChecklist", "<who>/todo/lists/{}/tasks/{}/checklistItems/{}"),
    read("ListPlannerTasks", "<who>/planner/tasks"),
    read("ListPlannerTasks", "planner/plans/{}/tasks"),
    read("ListPlannerTasks", "planner/buckets/{}/tasks"),
    read("GetPlannerTask", "planner/tasks/{}"),
    read("GetPlannerTask", "planner/tasks/{}/details"),
    write("CreatePlannerTask", "POST", "planner/tasks", D::PlanTask),
    write("UpdatePlannerTask", "PATCH", "planner/tasks/{}", D::PlanTask),
    write("UpdatePlannerTask", "PATCH", "planner/tasks/{}/details", D::PlanDetails),
    drop("DeletePlannerTask", "planner/tasks/{}"),
    // Teams
    read("ListChannelMessages", "teams/{}/channels/{id}/messages"),
    read("ListChannelMessages", "teams/{}/channels/{id}/messages/delta()"),
    read("ListChannelMessages", "teams/{}/channels/getAllMessages()"),
    write("SendChannelMessage", "POST", "teams/{}/channels/{id}/messages", D::ChatMessage),
    read("GetChannelMessage", "teams/{}/channels/{id}/messages/{}"),
    write("UpdateChannelMessage", "PATCH", "teams/{}/channels/{id}/messages/{}", D::ChatMessage),
    read("ListReplies", "teams/{}/channels/{id}/messages/{}/replies"),
    write("SendReply", "POST", "teams/{}/channels/{id}/messages/{}/replies", D::ChatMessage),
    read("GetReply", "teams/{}/channels/{id}/messages/{}/replies/{}"),
    write("UpdateReply", "PATCH", "teams/{}/channels/{id}/messages/{}/replies/{}", D::ChatMessage),
    write("React", "POST", "teams/{}/channels/{id}/messages/{}/setReaction", D::Reaction),
    write("React", "POST", "teams/{}/channels/{id}/messages/{}/unsetReaction", D::Reaction),
    write("DeleteChannelMessage", "POST", "teams/{}/channels/{id}/messages/{}/softDelete", D::Nothing),
    write("DeleteChannelMessage", "POST", "teams/{}/channels/{id}/messages/{}/undoSoftDelete", D::Nothing),
    read("ListHostedContents", "teams/{}/channels/{id}/messages/{}/hostedContents"),
    file("GetHostedContent", "teams/{}/channels/{id}/messages/{}/hostedContents/{}/$value"),
    file("GetHostedContent", "teams/{}/channels/{id}/messages/{}/replies/{}/hostedContents/{}/$value"),
    read("ListChats", "<who>/chats"),
    read("ListChats", "chats"),
    read("GetChat", "chats/{id}"),
    read("GetChat", "<who>/chats/{id}"),
    write("CreateChat", "POST", "chats", D::Chat),
    write("UpdateChat", "PATCH", "chats/{id}", D::Chat),
    read("ListChatMessages", "chats/{id}/messages"),
    read("ListChatMessages", "chats/{id}/messages/delta()"),
    read("ListChatMessages", "<who>/chats/{id}/messages"),
    read("ListChatMessages", "<who>/chats/getAllMessages()"),
    write("SendChatMessage", "POST", "chats/{id}/messages", D::ChatMessage),
    write("SendChatMessage", "POST", "<who>/chats/{id}/messages", D::ChatMessage),
    read("GetChatMessage", "chats/{id}/messages/{}"),
    write("UpdateChatMessage", "PATCH", "chats/{id}/messages/{}", D::ChatMessage),
    write("React", "POST", "chats/{id}/messages/{}/setReaction", D::Reaction),
    write("React", "POST", "chats/{id}/messages/{}/unsetReaction", D::Reaction),
    write("DeleteChatMessage", "POST", "<who>/chats/{id}/messages/{}/softDelete", D::Nothing),
    read("ListHostedContents", "chats/{id}/messages/{}/hostedContents"),
    file("GetHostedContent", "chats/{id}/messages/{}/hostedContents/{}/$value"),
    by(DIRECTORY, "ReadDirectory", "GET", "<who>/joinedTeams", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "teams/{}", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "teams/{}/channels", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "teams/{}/members", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "chats/{id}/members", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "planner/plans/{}", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "planner/plans/{}/buckets", "who and where, as the provider knows it"),
    deny("Subscriptions", "subscriptions/**", PUSHED),
    deny("Subscriptions", "subscriptions", PUSHED),
];

/// Options of lists that the provider can serve although texts are sealed: times, and filters and orders that look at no text.
/// Both in lower case.
pub(in crate::adapter::graph) fn may_be_asked(name: &str, value: &str) -> bool {
    const TEXTS: [&str; 12] = [
        "subject",
        "body",
        "content",
        "summary",
        "title",
        "notes",
        "description",
        "attachment",
        "name",
        "topic",
        "comment",
        "location",
    ];
    match name {
        "$filter" | "filter" | "$orderby" | "orderby" => {
            !TEXTS.iter().any(|text| value.contains(text))
        }
        "startdatetime" | "enddatetime" | "model" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_look_at_texts_are_not_asked() {
        assert!(may_be_asked(
            "$filter",
            "isread eq false and receiveddatetime ge 2026-01-01t00:00:00z"
        ));
        assert!(may_be_asked("$orderby", "receiveddatetime desc"));
        for filter in [
            "contains(subject,'x')",
            "body/content eq 'x'",
            "startswith(displayname,'a')",
        ] {
            assert!(!may_be_asked("$filter", filter), "{filter}");
        }
        assert!(!may_be_asked("$search", "x"));
    }

    #[test]
    fn every_family_has_its_reason() {
        for row in ROWS {
            assert!(row.reason.len() > 10, "{}", row.name);
        }
    }
}
