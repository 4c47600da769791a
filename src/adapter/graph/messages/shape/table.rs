//! The shapes of the documents, as Microsoft Graph's reference has their resources.

use super::Shape;
use super::Treat::{
    Body, Bytes, Clear as C, Comment, Flags, Line, List, Named, Object, People, Picture, Preview,
    Size, Subject, Switches, TeamsBody, Whole, Words,
};

/// The field of a subject.
pub const TITLE: &str = "message.subject";
/// Exchange keeps so much of a subject, less the `RE: ` of answers to it.
pub const SUBJECT: usize = 247;
/// The field of an attached file's name.
pub const ATTACHED: &str = "message.attachment";
/// Of its characters.
pub const FILE_NAME: usize = 255;

#[rustfmt::skip]
pub const MAIL: Shape = Shape(&[
    ("subject", Subject(TITLE, SUBJECT)), ("body", Body), ("attachments", List(&ATTACHMENT)),
    ("toRecipients", People), ("ccRecipients", People), ("bccRecipients", People), ("replyTo", People),
    ("from", Object(&PERSON)), ("sender", Object(&PERSON)), ("importance", C), ("isRead", C),
    ("isReadReceiptRequested", C), ("isDeliveryReceiptRequested", C), ("inferenceClassification", C),
    ("categories", Words), ("flag", Object(&FLAG)), ("id", C), ("@odata.type", C), ("@odata.etag", C),
    ("hasAttachments", C), ("isDraft", C), ("sentDateTime", C), ("receivedDateTime", C), ("createdDateTime", C),
    ("lastModifiedDateTime", C), ("conversationId", C), ("changeKey", C), ("parentFolderId", C),
]);
#[rustfmt::skip]
pub const PERSON: Shape = Shape(&[
    ("emailAddress", Object(&ADDRESS)), ("type", C), ("status", Object(&RESPONDED)),
    ("proposedNewTime", Object(&SLOT)), ("@odata.type", C),
]);
pub const ADDRESS: Shape = Shape(&[("address", C), ("name", C), ("@odata.type", C)]);
const RESPONDED: Shape = Shape(&[("response", C), ("time", C), ("@odata.type", C)]);
const SLOT: Shape = Shape(&[
    ("start", Object(&MOMENT)),
    ("end", Object(&MOMENT)),
    ("@odata.type", C),
]);
const MOMENT: Shape = Shape(&[("dateTime", C), ("timeZone", C), ("@odata.type", C)]);
#[rustfmt::skip]
const FLAG: Shape = Shape(&[
    ("flagStatus", C), ("startDateTime", Object(&MOMENT)), ("dueDateTime", Object(&MOMENT)),
    ("completedDateTime", Object(&MOMENT)), ("@odata.type", C),
]);
#[rustfmt::skip]
const RECURRENCE: Shape = Shape(&[
    ("pattern", Object(&PATTERN)), ("range", Object(&RANGE)), ("@odata.type", C),
]);
#[rustfmt::skip]
const PATTERN: Shape = Shape(&[
    ("type", C), ("interval", C), ("month", C), ("dayOfMonth", C), ("daysOfWeek", Words), ("firstDayOfWeek", C),
    ("index", C), ("@odata.type", C),
]);
#[rustfmt::skip]
const RANGE: Shape = Shape(&[
    ("type", C), ("startDate", C), ("endDate", C), ("recurrenceTimeZone", C), ("numberOfOccurrences", C),
    ("@odata.type", C),
]);
#[rustfmt::skip]
pub const ATTACHMENT: Shape = Shape(&[
    ("@odata.type", C), ("name", Subject(ATTACHED, FILE_NAME)), ("contentType", C), ("contentBytes", Bytes),
    ("size", Size), ("isInline", C), ("contentId", C), ("id", C), ("lastModifiedDateTime", C),
]);
// the parameters of actions begin with capital letters in some of Microsoft's clients
#[rustfmt::skip]
pub const SEND_MAIL: Shape = Shape(&[
    ("message", Object(&MAIL)), ("Message", Object(&MAIL)), ("saveToSentItems", C), ("SaveToSentItems", C),
]);
#[rustfmt::skip]
pub const ANSWER: Shape = Shape(&[
    ("message", Object(&MAIL)), ("Message", Object(&MAIL)), ("comment", Comment), ("Comment", Comment),
    ("toRecipients", People), ("ToRecipients", People),
]);
pub const MOVE: Shape = Shape(&[("destinationId", C), ("DestinationId", C)]);
#[rustfmt::skip]
pub const FOLDER: Shape = Shape(&[
    ("displayName", C), ("isHidden", C), ("id", C), ("@odata.type", C),
]);
/// Whether an invitation may be passed on (MS-OXOCAL, "PidNameDoNotForward").
const FORWARDING: &[&str] = &["Boolean {00020329-0000-0000-C000-000000000046} Name DoNotForward"];
#[rustfmt::skip]
pub const EVENT: Shape = Shape(&[
    ("subject", Subject(TITLE, SUBJECT)), ("body", Body), ("attachments", List(&ATTACHMENT)),
    ("attendees", People), ("start", Object(&MOMENT)), ("end", Object(&MOMENT)), ("isAllDay", C),
    ("location", Object(&LOCATION)), ("locations", List(&LOCATION)), ("recurrence", Object(&RECURRENCE)),
    ("reminderMinutesBeforeStart", C), ("isReminderOn", C), ("showAs", C), ("sensitivity", C), ("importance", C),
    ("categories", Words), ("isOnlineMeeting", C), ("onlineMeetingProvider", C), ("allowNewTimeProposals", C),
    ("responseRequested", C), ("hideAttendees", C), ("transactionId", C), ("id", C), ("@odata.type", C),
    ("@odata.etag", C), ("singleValueExtendedProperties", Switches(FORWARDING)),
    ("SingleValueExtendedProperties", Switches(FORWARDING)),
]);
#[rustfmt::skip]
const LOCATION: Shape = Shape(&[
    ("displayName", Subject("message.location", 255)), ("locationType", C), ("uniqueId", C), ("uniqueIdType", C),
    ("@odata.type", C),
]);
/// What is said to an invitation, or to those who were invited.
#[rustfmt::skip]
pub const RESPONSE: Shape = Shape(&[
    ("comment", Comment), ("Comment", Comment), ("sendResponse", C), ("SendResponse", C),
    ("proposedNewTime", Object(&SLOT)), ("ProposedNewTime", Object(&SLOT)), ("toRecipients", People),
    ("ToRecipients", People),
]);
#[rustfmt::skip]
pub const SNOOZE: Shape = Shape(&[
    ("newReminderTime", Object(&MOMENT)), ("NewReminderTime", Object(&MOMENT)),
]);
#[rustfmt::skip]
pub const CONTACT: Shape = Shape(&[
    ("personalNotes", Line("message.notes", usize::MAX)), ("givenName", C), ("surname", C), ("displayName", C),
    ("middleName", C), ("nickName", C), ("initials", C), ("title", C), ("generation", C),
    ("emailAddresses", List(&ADDRESS)), ("businessPhones", Words), ("homePhones", Words), ("mobilePhone", C),
    ("imAddresses", Words), ("jobTitle", C), ("companyName", C), ("department", C), ("officeLocation", C),
    ("profession", C), ("assistantName", C), ("manager", C), ("businessAddress", Object(&POSTAL)),
    ("homeAddress", Object(&POSTAL)), ("otherAddress", Object(&POSTAL)), ("businessHomePage", C), ("birthday", C),
    ("categories", Words), ("fileAs", C), ("id", C), ("@odata.type", C), ("@odata.etag", C),
]);
#[rustfmt::skip]
const POSTAL: Shape = Shape(&[
    ("street", C), ("city", C), ("state", C), ("countryOrRegion", C), ("postalCode", C), ("@odata.type", C),
]);
#[rustfmt::skip]
pub const TASK: Shape = Shape(&[
    ("title", Subject(TITLE, 255)), ("body", Body), ("status", C), ("importance", C), ("isReminderOn", C),
    ("dueDateTime", Object(&MOMENT)), ("startDateTime", Object(&MOMENT)), ("completedDateTime", Object(&MOMENT)),
    ("reminderDateTime", Object(&MOMENT)), ("recurrence", Object(&RECURRENCE)), ("categories", Words),
    ("hasAttachments", C), ("id", C), ("@odata.type", C), ("@odata.etag", C),
]);
#[rustfmt::skip]
pub const CHECKLIST: Shape = Shape(&[
    ("displayName", Subject(TITLE, 255)), ("isChecked", C), ("checkedDateTime", C), ("id", C),
    ("@odata.type", C),
]);
#[rustfmt::skip]
pub const PLAN_TASK: Shape = Shape(&[
    ("title", Subject(TITLE, 255)), ("planId", C), ("bucketId", C), ("assignments", Named(&ASSIGNED)),
    ("orderHint", C), ("percentComplete", C), ("priority", C), ("startDateTime", C), ("dueDateTime", C),
    ("appliedCategories", Flags), ("assigneePriority", C), ("conversationThreadId", C), ("previewType", C), ("id", C),
    ("@odata.type", C), ("@odata.etag", C),
]);
const ASSIGNED: Shape = Shape(&[("@odata.type", C), ("orderHint", C)]);
#[rustfmt::skip]
pub const PLAN_DETAILS: Shape = Shape(&[
    ("description", Line("message.description", usize::MAX)), ("previewType", C), ("@odata.type", C), ("@odata.etag", C),
]);
#[rustfmt::skip]
pub const CHAT_MESSAGE: Shape = Shape(&[
    ("subject", Line(TITLE, usize::MAX)), ("summary", Line("message.summary", usize::MAX)),
    ("body", TeamsBody), ("attachments", List(&CHAT_ATTACHMENT)), ("mentions", List(&MENTION)),
    ("hostedContents", List(&HOSTED)), ("importance", C), ("messageType", C), ("locale", C), ("replyToId", C),
    ("id", C), ("etag", C), ("@odata.type", C),
]);
#[rustfmt::skip]
const MENTION: Shape = Shape(&[
    ("id", C), ("mentionText", C), ("mentioned", Object(&MENTIONED)), ("@odata.type", C),
]);
#[rustfmt::skip]
const MENTIONED: Shape = Shape(&[
    ("user", Object(&IDENTITY)), ("application", Object(&IDENTITY)), ("device", Object(&IDENTITY)),
    ("conversation", Object(&IDENTITY)), ("tag", Object(&IDENTITY)), ("@odata.type", C),
]);
#[rustfmt::skip]
const IDENTITY: Shape = Shape(&[
    ("id", C), ("displayName", C), ("userIdentityType", C), ("applicationIdentityType", C),
    ("conversationIdentityType", C), ("conversationIdentityType@odata.type", C), ("tenantId", C), ("@odata.type", C),
]);
#[rustfmt::skip]
const CHAT_ATTACHMENT: Shape = Shape(&[
    ("id", C), ("contentType", C), ("contentUrl", C), ("content", Whole("message.card")), ("thumbnailUrl", C),
    ("teamsAppId", C), ("name", Line(ATTACHED, usize::MAX)), ("@odata.type", C),
]);
#[rustfmt::skip]
pub const HOSTED: Shape = Shape(&[
    ("@microsoft.graph.temporaryId", C), ("contentBytes", Picture), ("contentType", C), ("@odata.type", C), ("id", C),
]);
#[rustfmt::skip]
pub const CHAT: Shape = Shape(&[
    ("chatType", C), ("members", List(&MEMBER)), ("topic", Line("message.topic", 250)), ("@odata.type", C), ("id", C),
]);
#[rustfmt::skip]
const MEMBER: Shape = Shape(&[
    ("@odata.type", C), ("roles", Words), ("user@odata.bind", C), ("userId", C), ("tenantId", C),
    ("visibleHistoryStartDateTime", C), ("id", C),
]);
pub const REACTION: Shape = Shape(&[("reactionType", C)]);
/// For actions whose document is empty.
pub const NOTHING: Shape = Shape(&[]);

/// What answers have besides, whatever they describe.
#[rustfmt::skip]
pub const ADDED: Shape = Shape(&[
    ("uniqueBody", Body), ("bodyPreview", Preview), ("location", Object(&LOCATION)), ("event", Object(&EVENT)),
    ("item", Object(&MAIL)), ("instances", List(&EVENT)), ("checklistItems", List(&CHECKLIST)),
    ("details", Object(&PLAN_DETAILS)), ("replies", List(&CHAT_MESSAGE)), ("lastMessagePreview", Object(&CHAT_MESSAGE)),
    ("messages", List(&CHAT_MESSAGE)),
]);
