//! What of `$filter` and `$orderby` the provider is asked (OData 4.01, part 2, section 5.1): it can't compare what it holds
//! sealed, and would read what is looked for.

/// What filters and orders may look at: times, states and people, in lower case. Whatever could be a text is not among them.
#[rustfmt::skip]
const ASKED: &[&str] = &[
    // properties
    "address", "assignments", "attendees", "bccrecipients", "categories", "ccrecipients", "changekey", "chattype",
    "completeddatetime", "conversationid", "createddatetime", "datetime", "deleteddatetime", "duedatetime",
    "emailaddress", "emailaddresses", "end", "enddatetime", "flag", "flagstatus", "from", "hasattachments", "icaluid",
    "id", "importance", "inferenceclassification", "internetmessageid", "isallday", "iscancelled", "isdraft",
    "isorganizer", "isread", "isreminderon", "lastmessagereceiveddatetime", "lastmodifieddatetime", "members",
    "messagetype", "organizer", "parentfolderid", "percentcomplete", "priority", "receiveddatetime", "replytoid",
    "response", "responsestatus", "sender", "sensitivity", "sentdatetime", "seriesmasterid", "showas", "start",
    "startdatetime", "status", "torecipients", "type", "user", "userid",
    // words of OData
    "all", "and", "any", "asc", "contains", "desc", "endswith", "eq", "false", "ge", "gt", "in", "le", "lt", "ne",
    "not", "null", "or", "startswith", "tolower", "true",
];

/// Options of lists that the provider can serve although texts are sealed. Name and value in lower case.
pub fn may_be_asked(name: &str, value: &str) -> bool {
    match name {
        "$filter" | "filter" | "$orderby" | "orderby" => looks_at_no_text(value),
        "startdatetime" | "enddatetime" | "model" => true,
        _ => false,
    }
}

/// Every name in the expression is one that is known.
fn looks_at_no_text(expression: &str) -> bool {
    let mut rest = expression;
    let mut variables: Vec<&str> = Vec::new();
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '@');
        let length = match first {
            // a quote within a text is doubled, which reads as two texts
            '\'' => match rest[1..].find('\'') {
                Some(end) => end + 2,
                None => return false,
            },
            c if is_name(c) => {
                // numbers and dates go on with what names do not have
                let number = c.is_ascii_digit();
                let more = |c: char| is_name(c) || number && matches!(c, '-' | ':' | '.' | '+');
                let end = rest.find(|c| !more(c)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(end);
                if behind.starts_with(':') && word.len() == 1 {
                    variables.push(word);
                }
                if !(number || ASKED.contains(&word) || variables.contains(&word)) {
                    return false;
                }
                end
            }
            ' ' | '+' | '/' | '(' | ')' | ',' | ':' => 1,
            _ => return false,
        };
        rest = &rest[length..];
    }
    true
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
            "(from/emailaddress/address) eq 'a''b@x.fr' and start/datetime ge '2026-01-01'",
            "torecipients/any(r:r/emailaddress/address+eq+'x')",
            "lastmodifieddatetime gt 2026-01-01t00:00:00.5z and not(isread)",
            "start/datetime desc,importance",
        ] {
            assert!(may_be_asked("$filter", filter), "{filter}");
        }
        for filter in [
            "contains(subject,'x')",
            "body/content eq 'x'",
            "startswith(displayname,'a')",
            "singlevalueextendedproperties/any(e:e/id eq 'string 0x37' and contains(e/value,'x'))",
            "from eq 'x' and subject eq 'y'",
            "importance eq 'x''' and subject eq 'y'",
            "importance eq 'x",
            "isread eq \"x\"",
            "ab/any(ab:ab eq 'x')",
        ] {
            assert!(!may_be_asked("$filter", filter), "{filter}");
        }
        assert!(!may_be_asked("$search", "x"));
    }
}
