//! What a session is known by: its address in one spelling, since clients have reason to write it in several.

use percent_encoding::percent_encode_byte;

/// Path and query with everything that URL standards hold for equivalent written in one way: escapes of unreserved
/// characters are undone and others in upper case (RFC 3986 section 6.2.2), what no URI holds is escaped, and `'` is not,
/// which WHATWG URL escapes in queries (section 1.3). What they tell apart stays apart.
pub(super) fn canonical(target: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(target.len()), target.as_bytes());
    while let Some(&first) = rest.first() {
        let (byte, length, plain) = match escaped(rest) {
            Some(byte) => (byte, 3, is_unreserved(byte) || byte == b'\''),
            None => (
                first,
                1,
                is_unreserved(first) || b"%:/?#[]@!$&'()*+,;=".contains(&first),
            ),
        };
        match plain {
            true => out.push(byte.into()),
            false => out.push_str(percent_encode_byte(byte)),
        }
        rest = &rest[length..];
    }
    out
}

/// The byte that an escape stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equivalent_spellings_are_one_and_others_are_not() {
        let address = "/s/x/uploadSession?guid='1-a'&t=v1.a%2Bb%3d%2e%7Ec|d";
        for same in [
            "/s/x/uploadSession?guid=%271-a%27&t=v1.a%2Bb%3d%2e%7Ec|d",
            "/s/x/uploadSession?guid='1-a'&t=v1.a%2bb%3D.~c%7Cd",
            "/s/%78/uploadSession?guid='1%2Da'&t=v1.a%2Bb%3d%2e%7Ec%7cd",
        ] {
            assert_eq!(canonical(same), canonical(address), "{same}");
        }
        for other in [
            "/s/x/uploadSession?guid='1-a'&t=v1.a+b%3d%2e%7Ec|d",
            "/s/x/uploadSession?guid='1-a'&t=v1.a%2Bb=%2e%7Ec|d",
            "/s/x/uploadSession?guid='1-A'&t=v1.a%2Bb%3d%2e%7Ec|d",
            "/s/x/uploadSession?guid=%25271-a%2527&t=v1.a%2Bb%3d%2e%7Ec|d",
            "/s%2Fx/uploadSession?guid='1-a'&t=v1.a%2Bb%3d%2e%7Ec|d",
        ] {
            assert_ne!(canonical(other), canonical(address), "{other}");
        }
        assert_eq!(canonical("%"), "%");
        assert_eq!(canonical("é%2"), "%C3%A9%2");
    }
}
