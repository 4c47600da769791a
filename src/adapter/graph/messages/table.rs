//! Families of messages, calendars, contacts and tasks.

use super::shape::{self, Shape};
use crate::adapter::graph::route::Api;
use crate::adapter::graph::settings::Part;
use crate::adapter::graph::table::{DIRECTORY, Row, Verb, at, by, deny, pass};

/// What is done with a request about messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// What comes down is opened.
    Read(Document),
    /// What goes up is sealed, what comes down is opened.
    Write(Document),
    /// Words to whoever invited, or to those who were invited.
    Respond,
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

impl Action {
    /// What goes up, and what comes down.
    pub(super) fn document(self) -> Document {
        match self {
            Self::Read(document) | Self::Write(document) => document,
            Self::Answer => Document::Answer,
            Self::Respond => Document::Response,
            Self::Whole => Document::Whole,
            Self::Send | Self::File | Self::Attach => Document::Nothing,
        }
    }
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
    Hosted,
    Chat,
    Reaction,
    Response,
    Snooze,
    Nothing,
}

impl Document {
    #[cfg(test)]
    pub(super) const ALL: [Self; 20] = [
        Self::Mail,
        Self::Whole,
        Self::SendMail,
        Self::Answer,
        Self::Move,
        Self::Folder,
        Self::Attachment,
        Self::Event,
        Self::Contact,
        Self::Task,
        Self::Checklist,
        Self::PlanTask,
        Self::PlanDetails,
        Self::ChatMessage,
        Self::Hosted,
        Self::Chat,
        Self::Reaction,
        Self::Response,
        Self::Snooze,
        Self::Nothing,
    ];

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
            Self::Hosted => &shape::HOSTED,
            Self::Chat => &shape::CHAT,
            Self::Reaction => &shape::REACTION,
            Self::Response => &shape::RESPONSE,
            Self::Snooze => &shape::SNOOZE,
            Self::Nothing => &shape::NOTHING,
        }
    }

    /// Of what the service answers to the document.
    pub(super) fn answer(self) -> &'static Shape {
        match self {
            Self::Answer | Self::Move => &shape::MAIL,
            other => other.shape(),
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

const fn read(name: &'static str, document: Document, pattern: &'static str) -> Row {
    pass(
        name,
        "GET",
        pattern,
        Verb::Message(Action::Read(document)),
        OPENED,
    )
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

const fn respond(pattern: &'static str) -> Row {
    pass(
        "Respond",
        "POST",
        pattern,
        Verb::Message(Action::Respond),
        TEXTS,
    )
}

const fn drop(name: &'static str, pattern: &'static str) -> Row {
    pass(name, "DELETE", pattern, Verb::Bare, NO_TEXT)
}

use Document as D;

/// In the order in which they are looked through, behind those of files. `<who>` is `me` or `users/ID`.
pub const PARTS: [(Part, &[Row]); 5] = [
    (Part::Mail, MAIL),
    (Part::Calendars, CALENDARS),
    (Part::Contacts, CONTACTS),
    (Part::Tasks, TASKS),
    (Part::Teams, TEAMS),
];

#[rustfmt::skip]
const MAIL: &[Row] = &[
    write("SendMail", "POST", "<who>/sendMail", D::SendMail),
    read("ListMessages", D::Mail, "<who>/messages"),
    read("ListMessages", D::Mail, "<who>/messages/delta()"),
    read("ListMessages", D::Mail, "<who>/mailFolders/{}/messages"),
    read("ListMessages", D::Mail, "<who>/mailFolders/{}/messages/delta()"),
    write("CreateMessage", "POST", "<who>/messages", D::Mail),
    write("CreateMessage", "POST", "<who>/mailFolders/{}/messages", D::Mail),
    read("GetMessage", D::Mail, "<who>/messages/{}"),
    read("GetMessage", D::Mail, "<who>/mailFolders/{}/messages/{}"),
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
    read("ListAttachments", D::Attachment, "<who>/messages/{}/attachments"),
    write("AddAttachment", "POST", "<who>/messages/{}/attachments", D::Attachment),
    session("<who>/messages/{}/attachments/createUploadSession"),
    session("<who>/mailFolders/{}/messages/{}/attachments/createUploadSession"),
    at(Api::Outlook, pass("AttachmentSession", "PUT GET DELETE", "api/{}/users()/messages()/attachmentSessions()", Verb::Session, SESSION)),
    read("GetAttachment", D::Attachment, "<who>/messages/{}/attachments/{}"),
    drop("DeleteAttachment", "<who>/messages/{}/attachments/{}"),
    file("GetAttachmentFile", "<who>/messages/{}/attachments/{}/$value"),
    read("ListFolders", D::Folder, "<who>/mailFolders"),
    read("ListFolders", D::Folder, "<who>/mailFolders/delta()"),
    read("ListFolders", D::Folder, "<who>/mailFolders/{}"),
    read("ListFolders", D::Folder, "<who>/mailFolders/{}/childFolders"),
    write("WriteFolder", "POST", "<who>/mailFolders", D::Folder),
    write("WriteFolder", "POST", "<who>/mailFolders/{}/childFolders", D::Folder),
    write("WriteFolder", "PATCH", "<who>/mailFolders/{}", D::Folder),
    drop("DeleteFolder", "<who>/mailFolders/{}"),
    deny("MessageRules", "<who>/mailFolders/{}/messageRules/**", RULES),
];

#[rustfmt::skip]
const CALENDARS: &[Row] = &[
    read("ListEvents", D::Event, "<who>/events"),
    read("ListEvents", D::Event, "<who>/calendar/events"),
    read("ListEvents", D::Event, "<who>/calendars/{}/events"),
    read("ListEvents", D::Event, "<who>/calendarView"),
    read("ListEvents", D::Event, "<who>/calendarView/delta()"),
    read("ListEvents", D::Event, "<who>/calendar/calendarView"),
    read("ListEvents", D::Event, "<who>/events/{}/instances"),
    read("GetEvent", D::Event, "<who>/events/{}"),
    read("GetEvent", D::Event, "<who>/calendar/events/{}"),
    read("ListCalendars", D::Folder, "<who>/calendars"),
    read("ListCalendars", D::Folder, "<who>/calendar"),
    write("CreateEvent", "POST", "<who>/events", D::Event),
    write("CreateEvent", "POST", "<who>/calendar/events", D::Event),
    write("CreateEvent", "POST", "<who>/calendars/{}/events", D::Event),
    write("UpdateEvent", "PATCH", "<who>/events/{}", D::Event),
    write("UpdateEvent", "PATCH", "<who>/calendar/events/{}", D::Event),
    drop("DeleteEvent", "<who>/events/{}"),
    respond("<who>/events/{}/accept"),
    respond("<who>/events/{}/tentativelyAccept"),
    respond("<who>/events/{}/decline"),
    respond("<who>/events/{}/cancel"),
    respond("<who>/events/{}/forward"),
    write("Remind", "POST", "<who>/events/{}/snoozeReminder", D::Snooze),
    write("Remind", "POST", "<who>/events/{}/dismissReminder", D::Nothing),
    drop("DeleteEvent", "<who>/calendar/events/{}"),
    read("ListAttachments", D::Attachment, "<who>/events/{}/attachments"),
    write("AddAttachment", "POST", "<who>/events/{}/attachments", D::Attachment),
    read("GetAttachment", D::Attachment, "<who>/events/{}/attachments/{}"),
    drop("DeleteAttachment", "<who>/events/{}/attachments/{}"),
    file("GetAttachmentFile", "<who>/events/{}/attachments/{}/$value"),
    session("<who>/events/{}/attachments/createUploadSession"),
    at(Api::Outlook, pass("AttachmentSession", "PUT GET DELETE", "api/{}/users()/events()/attachmentSessions()", Verb::Session, SESSION)),
];

#[rustfmt::skip]
const CONTACTS: &[Row] = &[
    read("ListContacts", D::Contact, "<who>/contacts"),
    read("ListContacts", D::Contact, "<who>/contacts/delta()"),
    read("ListContacts", D::Contact, "<who>/contactFolders/{}/contacts"),
    read("GetContact", D::Contact, "<who>/contacts/{}"),
    write("CreateContact", "POST", "<who>/contacts", D::Contact),
    write("CreateContact", "POST", "<who>/contactFolders/{}/contacts", D::Contact),
    write("UpdateContact", "PATCH", "<who>/contacts/{}", D::Contact),
    drop("DeleteContact", "<who>/contacts/{}"),
];

#[rustfmt::skip]
const TASKS: &[Row] = &[
    read("ListTaskLists", D::Folder, "<who>/todo/lists"),
    read("ListTaskLists", D::Folder, "<who>/todo/lists/{}"),
    write("WriteTaskList", "POST", "<who>/todo/lists", D::Folder),
    write("WriteTaskList", "PATCH", "<who>/todo/lists/{}", D::Folder),
    drop("DeleteTaskList", "<who>/todo/lists/{}"),
    read("ListTasks", D::Task, "<who>/todo/lists/{}/tasks"),
    read("ListTasks", D::Task, "<who>/todo/lists/{}/tasks/delta()"),
    read("GetTask", D::Task, "<who>/todo/lists/{}/tasks/{}"),
    write("CreateTask", "POST", "<who>/todo/lists/{}/tasks", D::Task),
    write("UpdateTask", "PATCH", "<who>/todo/lists/{}/tasks/{}", D::Task),
    drop("DeleteTask", "<who>/todo/lists/{}/tasks/{}"),
    read("ListChecklist", D::Checklist, "<who>/todo/lists/{}/tasks/{}/checklistItems"),
    write("WriteChecklist", "POST", "<who>/todo/lists/{}/tasks/{}/checklistItems", D::Checklist),
    write("WriteChecklist", "PATCH", "<who>/todo/lists/{}/tasks/{}/checklistItems/{}", D::Checklist),
    drop("DeleteChecklist", "<who>/todo/lists/{}/tasks/{}/checklistItems/{}"),
    read("ListPlannerTasks", D::PlanTask, "<who>/planner/tasks"),
    read("ListPlannerTasks", D::PlanTask, "planner/plans/{}/tasks"),
    read("ListPlannerTasks", D::PlanTask, "planner/buckets/{}/tasks"),
    read("GetPlannerTask", D::PlanTask, "planner/tasks/{}"),
    read("GetPlannerTask", D::PlanDetails, "planner/tasks/{}/details"),
    write("CreatePlannerTask", "POST", "planner/tasks", D::PlanTask),
    write("UpdatePlannerTask", "PATCH", "planner/tasks/{}", D::PlanTask),
    write("UpdatePlannerTask", "PATCH", "planner/tasks/{}/details", D::PlanDetails),
    drop("DeletePlannerTask", "planner/tasks/{}"),
];

#[rustfmt::skip]
const TEAMS: &[Row] = &[
    read("ListChannelMessages", D::ChatMessage, "teams/{}/channels/{id}/messages"),
    read("ListChannelMessages", D::ChatMessage, "teams/{}/channels/{id}/messages/delta()"),
    read("ListChannelMessages", D::ChatMessage, "teams/{}/channels/getAllMessages()"),
    write("SendChannelMessage", "POST", "teams/{}/channels/{id}/messages", D::ChatMessage),
    read("GetChannelMessage", D::ChatMessage, "teams/{}/channels/{id}/messages/{}"),
    write("UpdateChannelMessage", "PATCH", "teams/{}/channels/{id}/messages/{}", D::ChatMessage),
    read("ListReplies", D::ChatMessage, "teams/{}/channels/{id}/messages/{}/replies"),
    write("SendReply", "POST", "teams/{}/channels/{id}/messages/{}/replies", D::ChatMessage),
    read("GetReply", D::ChatMessage, "teams/{}/channels/{id}/messages/{}/replies/{}"),
    write("UpdateReply", "PATCH", "teams/{}/channels/{id}/messages/{}/replies/{}", D::ChatMessage),
    read("ListReplies", D::ChatMessage, "teams/{}/channels/{id}/messages/{}/replies/delta()"),
    write("React", "POST", "teams/{}/channels/{id}/messages/{}/replies/{}/setReaction", D::Reaction),
    write("React", "POST", "teams/{}/channels/{id}/messages/{}/replies/{}/unsetReaction", D::Reaction),
    write("DeleteReply", "POST", "teams/{}/channels/{id}/messages/{}/replies/{}/softDelete", D::Nothing),
    write("DeleteReply", "POST", "teams/{}/channels/{id}/messages/{}/replies/{}/undoSoftDelete", D::Nothing),
    read("ListHostedContents", D::Hosted, "teams/{}/channels/{id}/messages/{}/hostedContents/{}"),
    read("ListHostedContents", D::Hosted, "teams/{}/channels/{id}/messages/{}/replies/{}/hostedContents"),
    read("ListHostedContents", D::Hosted, "teams/{}/channels/{id}/messages/{}/replies/{}/hostedContents/{}"),
    write("React", "POST", "teams/{}/channels/{id}/messages/{}/setReaction", D::Reaction),
    write("React", "POST", "teams/{}/channels/{id}/messages/{}/unsetReaction", D::Reaction),
    write("DeleteChannelMessage", "POST", "teams/{}/channels/{id}/messages/{}/softDelete", D::Nothing),
    write("DeleteChannelMessage", "POST", "teams/{}/channels/{id}/messages/{}/undoSoftDelete", D::Nothing),
    read("ListHostedContents", D::Hosted, "teams/{}/channels/{id}/messages/{}/hostedContents"),
    file("GetHostedContent", "teams/{}/channels/{id}/messages/{}/hostedContents/{}/$value"),
    file("GetHostedContent", "teams/{}/channels/{id}/messages/{}/replies/{}/hostedContents/{}/$value"),
    read("ListChats", D::Chat, "<who>/chats"),
    read("ListChats", D::Chat, "chats"),
    read("GetChat", D::Chat, "chats/{id}"),
    read("GetChat", D::Chat, "<who>/chats/{id}"),
    write("CreateChat", "POST", "chats", D::Chat),
    write("UpdateChat", "PATCH", "chats/{id}", D::Chat),
    read("ListChatMessages", D::ChatMessage, "chats/{id}/messages"),
    read("ListChatMessages", D::ChatMessage, "chats/{id}/messages/delta()"),
    read("ListChatMessages", D::ChatMessage, "<who>/chats/{id}/messages"),
    read("ListChatMessages", D::ChatMessage, "<who>/chats/getAllMessages()"),
    write("SendChatMessage", "POST", "chats/{id}/messages", D::ChatMessage),
    write("SendChatMessage", "POST", "<who>/chats/{id}/messages", D::ChatMessage),
    read("GetChatMessage", D::ChatMessage, "chats/{id}/messages/{}"),
    write("UpdateChatMessage", "PATCH", "chats/{id}/messages/{}", D::ChatMessage),
    write("React", "POST", "chats/{id}/messages/{}/setReaction", D::Reaction),
    write("React", "POST", "chats/{id}/messages/{}/unsetReaction", D::Reaction),
    write("DeleteChatMessage", "POST", "<who>/chats/{id}/messages/{}/softDelete", D::Nothing),
    write("DeleteChatMessage", "POST", "<who>/chats/{id}/messages/{}/undoSoftDelete", D::Nothing),
    write("DeleteChatMessage", "POST", "chats/{id}/messages/{}/softDelete", D::Nothing),
    write("DeleteChatMessage", "POST", "chats/{id}/messages/{}/undoSoftDelete", D::Nothing),
    read("GetChatMessage", D::ChatMessage, "<who>/chats/{id}/messages/{}"),
    read("ListHostedContents", D::Hosted, "chats/{id}/messages/{}/hostedContents/{}"),
    read("ListHostedContents", D::Hosted, "chats/{id}/messages/{}/hostedContents"),
    file("GetHostedContent", "chats/{id}/messages/{}/hostedContents/{}/$value"),
    by(DIRECTORY, "ReadDirectory", "GET", "<who>/joinedTeams", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "teams/{}", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "teams/{}/channels/{id}", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "teams/{}/channels", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "teams/{}/members", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "chats/{id}/members", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "planner/plans/{}", "who and where, as the provider knows it"),
    by(DIRECTORY, "ReadDirectory", "GET", "planner/plans/{}/buckets", "who and where, as the provider knows it"),
    deny("Subscriptions", "subscriptions/**", PUSHED),
    deny("Subscriptions", "subscriptions", PUSHED),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_its_reason() {
        for row in PARTS.iter().flat_map(|(_, rows)| *rows) {
            assert!(row.reason.len() > 10, "{}", row.name);
        }
    }
}
