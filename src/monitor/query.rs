//! The parameters of a request, and what is said when one cannot be read: nats-server's words, which
//! are those of Go's library.

/// The query of one request. Of a parameter that is repeated the first counts; an empty one is none.
#[derive(Debug)]
pub(super) struct Query<'a>(&'a str);

/// A parameter that cannot be read, as the person who asked is told.
pub(super) type Mistake = String;

impl<'a> Query<'a> {
    pub(super) fn new(query: &'a str) -> Query<'a> {
        Query(query)
    }

    /// The value of a parameter, decoded.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.0.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .filter(|value| !value.is_empty())
    }

    /// A truth value in any of Go's spellings; false without one.
    pub(super) fn switch(&self, name: &str) -> Result<bool, Mistake> {
        let Some(value) = self.text(name) else {
            return Ok(false);
        };
        match value.as_str() {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
            _ => Err(format!(
                "Error decoding boolean for '{name}': strconv.ParseBool: parsing {value:?}: invalid \
                 syntax"
            )),
        }
    }

    /// A number; one that is not above zero, or none, is `None`.
    pub(super) fn positive(&self, name: &str) -> Result<Option<usize>, Mistake> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        let digits = value.strip_prefix(['+', '-']).unwrap_or(&value);
        let fault = if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            "invalid syntax"
        } else if let Ok(number) = value.parse::<i64>() {
            return Ok(usize::try_from(number).ok().filter(|number| *number > 0));
        } else {
            "value out of range"
        };
        Err(format!(
            "Error decoding int for '{name}': strconv.Atoi: parsing {value:?}: {fault}"
        ))
    }

    /// A number without a sign.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Mistake> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        let fault = if !value.bytes().all(|byte| byte.is_ascii_digit()) {
            "invalid syntax"
        } else if let Ok(number) = value.parse() {
            return Ok(Some(number));
        } else {
            "value out of range"
        };
        Err(format!(
            "Error decoding uint64 for '{name}': strconv.ParseUint: parsing {value:?}: {fault}"
        ))
    }

    /// The part of a list that is wanted.
    pub(super) fn page(&self) -> Result<Page, Mistake> {
        Ok(Page {
            offset: self.positive("offset")?.unwrap_or(0),
            limit: self.positive("limit")?.unwrap_or(Page::LIMIT),
        })
    }

    /// Whether subscriptions are to be listed, and how.
    pub(super) fn subscriptions(&self) -> Result<Subscriptions, Mistake> {
        match self.text("subs") {
            Some(word) if word.eq_ignore_ascii_case("detail") => Ok(Subscriptions::Detail),
            _ if self.switch("subs")? => Ok(Subscriptions::Subjects),
            _ => Ok(Subscriptions::None),
        }
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Page {
    /// What a page has if nothing else is asked for.
    pub(super) const LIMIT: usize = 1024;

    /// How many there must be for the page to be full.
    pub(super) fn end(self) -> usize {
        self.offset.saturating_add(self.limit)
    }
}

/// How the subscriptions of a connection are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subscriptions {
    /// Not at all.
    None,
    /// By their subjects.
    Subjects,
    /// With sid, queue group and counters.
    Detail,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_in_the_words_of_nats_server() {
        let query = Query::new("limit=abc&offset=99999999999999999999&auth=2&cid=-1&x=%3Ca+b");
        let syntax = "invalid syntax";
        assert_eq!(
            query.positive("limit"),
            Err(format!(
                "Error decoding int for 'limit': strconv.Atoi: parsing \"abc\": {syntax}"
            ))
        );
        assert!(
            query
                .positive("offset")
                .is_err_and(|text| text.ends_with("value out of range"))
        );
        assert_eq!(
            query.switch("auth"),
            Err(format!(
                "Error decoding boolean for 'auth': strconv.ParseBool: parsing \"2\": {syntax}"
            ))
        );
        assert_eq!(
            query.number("cid"),
            Err(format!(
                "Error decoding uint64 for 'cid': strconv.ParseUint: parsing \"-1\": {syntax}"
            ))
        );
        assert_eq!(query.text("x").as_deref(), Some("<a b"));
    }

    #[test]
    fn a_limit_that_is_not_above_zero_is_the_default() {
        for query in ["", "limit=0", "limit=-5&offset=-1", "limit=", "offset=%2B0"] {
            let page = Query::new(query).page();
            assert_eq!(
                page,
                Ok(Page {
                    offset: 0,
                    limit: 1024
                }),
                "{query}"
            );
        }
        let page = Query::new("limit=7&limit=8&offset=%2B3").page();
        assert_eq!(
            page,
            Ok(Page {
                offset: 3,
                limit: 7
            })
        );
    }
}
