//! Dialogue files: text to steps, and the pattern that a line from the broker has to fit.
//!
//! The language is described at the top of `dialogue.rs`. Whatever is not in it is an error with
//! its line number: a step that is silently taken for a remark would be a check that never runs.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a client of the dialogue is called: `1`, `2` and so on.
pub(crate) type Name = u8;

/// One conversation under one heading.
#[derive(Clone, Debug)]
pub(crate) struct Dialogue {
    pub(crate) file: String,
    pub(crate) heading: String,
    /// Line of the heading in its file, counted from 1.
    pub(crate) line: usize,
    /// Settings of the broker, in nats-server's names. Empty: the defaults.
    pub(crate) config: Vec<(String, String)>,
    pub(crate) only: Option<Only>,
    /// The first version of the reference that plays it.
    pub(crate) since: Option<(u32, u32)>,
    /// The reference answers otherwise when packets are cut otherwise.
    pub(crate) uncut: bool,
    pub(crate) steps: Vec<Step>,
    manners: Manners,
}

/// The brokers for which a dialogue is meant, where they legitimately differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Only {
    Midge,
    Reference,
}

/// One line of a dialogue (or several, for lines that may come in any order).
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) action: Action,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Write each piece in a packet of its own.
    Send { client: Name, pieces: Vec<Vec<u8>> },
    /// The next line of this client fits.
    Expect { client: Name, line: Pattern },
    /// The next line of exactly one of these clients fits. `continues` asks the client that fitted
    /// last.
    ExpectOneOf {
        clients: Vec<Name>,
        line: Pattern,
        continues: bool,
    },
    /// All of these come next, each whole, in whatever order.
    ExpectAnyOrder {
        client: Name,
        units: Vec<Vec<Pattern>>,
    },
    /// The greeting has these fields.
    ExpectInfo { client: Name, fields: Value },
    /// The broker closed the connection.
    ExpectEnd { client: Name },
    /// Nothing more has come: for this client, or (`None`) for any.
    Quiet { client: Option<Name> },
    /// The client will send no more but still reads.
    HalfClose { client: Name },
    /// The client is gone.
    Close { client: Name },
}

/// What a line from the broker has to look like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Pattern {
    Exactly(Vec<u8>),
    /// Between single blanks: these bytes, or (`None`) any one token.
    Tokens(Vec<Option<Vec<u8>>>),
}

/// How the clients introduce themselves: the text after `CONNECT `, or `None` for not at all. And who makes a handshake
/// of TLS.
#[derive(Clone, Debug)]
struct Manners {
    everybody: Option<String>,
    exceptions: BTreeMap<Name, Option<String>>,
    secure: Option<Handshake>,
    otherwise: BTreeMap<Name, Option<Handshake>>,
}

/// A client's handshake.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Handshake {
    /// It comes before `INFO`.
    pub(crate) is_first: bool,
    /// The name of the certificate that is shown.
    pub(crate) paper: Option<String>,
}

impl Default for Manners {
    fn default() -> Self {
        let quiet = r#"{"verbose":false,"pedantic":false}"#;
        Manners {
            everybody: Some(quiet.to_owned()),
            exceptions: BTreeMap::new(),
            secure: None,
            otherwise: BTreeMap::new(),
        }
    }
}

impl Dialogue {
    /// The text that `client` sends after `CONNECT ` when it comes in; `None`: it sends none.
    pub(crate) fn connect(&self, client: Name) -> Option<&str> {
        let text = self
            .manners
            .exceptions
            .get(&client)
            .unwrap_or(&self.manners.everybody);
        text.as_deref()
    }

    /// The handshake that `client` makes when it comes in.
    pub(crate) fn handshake(&self, client: Name) -> Option<&Handshake> {
        let Manners {
            secure, otherwise, ..
        } = &self.manners;
        otherwise.get(&client).unwrap_or(secure).as_ref()
    }

    /// Whether the broker speaks TLS.
    pub(crate) fn has_tls(&self) -> bool {
        self.config.iter().any(|(key, _)| key == "tls")
    }
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
        if !text.split(' ').any(|token| token == "*") {
            return unescape(text).map(Pattern::Exactly);
        }
        let token = |token| {
            if token == "*" {
                Ok(None)
            } else {
                unescape(token).map(Some)
            }
        };
        text.split(' ')
            .map(token)
            .collect::<Result<_, _>>()
            .map(Pattern::Tokens)
    }

    pub(crate) fn fits(&self, line: &[u8]) -> bool {
        match self {
            Pattern::Exactly(bytes) => bytes == line,
            Pattern::Tokens(tokens) => {
                let given: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
                given.len() == tokens.len()
                    && tokens.iter().zip(given).all(|(token, given)| match token {
                        Some(bytes) => bytes == given,
                        None => !given.is_empty(),
                    })
            }
        }
    }

    /// Whether a payload follows this line, so that lines after it belong to the same message.
    fn opens_a_message(&self) -> bool {
        let first = match self {
            Pattern::Exactly(bytes) => bytes.split(|&byte| byte == b' ').next(),
            Pattern::Tokens(tokens) => tokens.first().and_then(Option::as_deref),
        };
        matches!(first, Some(b"MSG" | b"HMSG"))
    }
}

/// All dialogues of one file. The error names the line.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Dialogue>, String> {
    let mut dialogues: Vec<Dialogue> = Vec::new();
    let mut manners = Manners::default();
    for (line, text) in (1..).zip(text.lines()) {
        let wrong = |what: String| format!("{file}:{line}: {what}: {text}");
        if text.ends_with([' ', '\t']) {
            return Err(wrong(
                "blanks at the end of a line are invisible".to_owned(),
            ));
        }
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some(heading) = text.strip_prefix("== ") {
            dialogues.push(Dialogue {
                file: file.to_owned(),
                heading: heading.to_owned(),
                line,
                config: Vec::new(),
                only: None,
                since: None,
                uncut: false,
                steps: Vec::new(),
                manners: manners.clone(),
            });
            continue;
        }
        if let Some((client, connect)) = introduction(text).map_err(wrong)? {
            let manners = dialogues
                .last_mut()
                .map_or(&mut manners, |d| &mut d.manners);
            match client {
                Some(client) => _ = manners.exceptions.insert(client, connect),
                None => manners.everybody = connect,
            }
            continue;
        }
        if let Some((client, handshake)) = handshake(text).map_err(wrong)? {
            let manners = dialogues
                .last_mut()
                .map_or(&mut manners, |d| &mut d.manners);
            match client {
                Some(client) => _ = manners.otherwise.insert(client, handshake),
                None => manners.secure = handshake,
            }
            continue;
        }
        let dialogue = dialogues
            .last_mut()
            .ok_or_else(|| wrong("not under a heading".into()))?;
        add(dialogue, line, text).map_err(wrong)?;
    }
    match dialogues.iter().find(|dialogue| dialogue.steps.is_empty()) {
        Some(empty) => Err(format!(
            "{file}:{}: nothing happens: {}",
            empty.line, empty.heading
        )),
        None => Ok(dialogues),
    }
}

/// Who introduces itself, or (`None`) everybody; and with which `CONNECT`, or with none.
type Introduction = (Option<Name>, Option<String>);

/// `telnet`, `telnet 2`, `connect: {..}` or `connect 2: {..}`; `None`: the line is none of these.
fn introduction(text: &str) -> Result<Option<Introduction>, String> {
    let (word, connect) = match text.split_once(": ") {
        Some((word, json)) if word.starts_with("connect") => (word, Some(json.to_owned())),
        _ if text.starts_with("telnet") => (text, None),
        _ => return Ok(None),
    };
    let client = word
        .split_once(' ')
        .map(|(_, client)| name(client))
        .transpose()?;
    Ok(Some((client, connect)))
}

/// Who makes a handshake, or (`None`) everybody; and which, or none.
type Securing = (Option<Name>, Option<Handshake>);

/// `secure`, `secure first`, `secure 2: ann`, `secure 2 first: ann` or `plain 2`; `None`: the line is none of these.
fn handshake(text: &str) -> Result<Option<Securing>, String> {
    let (words, paper) = match text.split_once(": ") {
        Some((words, paper)) => (words, Some(paper.to_owned())),
        None => (text, None),
    };
    let mut words = words.split(' ');
    let is_secure = match words.next() {
        Some("secure") => true,
        Some("plain") if paper.is_none() => false,
        _ => return Ok(None),
    };
    let (mut client, mut is_first) = (None, false);
    for word in words {
        match word {
            "first" if is_secure => is_first = true,
            word => client = Some(name(word)?),
        }
    }
    let handshake = Handshake { is_first, paper };
    Ok(Some((client, is_secure.then_some(handshake))))
}

fn add(dialogue: &mut Dialogue, line: usize, text: &str) -> Result<(), String> {
    if let Some(settings) = text.strip_prefix("config: ") {
        for setting in settings.split(", ") {
            let (key, value) = setting.split_once('=').ok_or("a setting is key=value")?;
            dialogue.config.push((key.to_owned(), value.to_owned()));
        }
        return Ok(());
    }
    if let Some(block) = text.strip_prefix("authorization: ") {
        let setting = ("authorization".to_owned(), block.to_owned());
        dialogue.config.push(setting);
        return Ok(());
    }
    if let Some(block) = text.strip_prefix("mappings: ") {
        let setting = ("mappings".to_owned(), format!("{{ {block} }}"));
        dialogue.config.push(setting);
        return Ok(());
    }
    if let Some(block) = text.strip_prefix("tls: ") {
        dialogue.config.push(("tls".to_owned(), block.to_owned()));
        return Ok(());
    }
    if let Some(since) = text.strip_prefix("since: ") {
        let (version, _) = since
            .split_once(", ")
            .ok_or("`since: version, why` gives its reason")?;
        let version = version
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        dialogue.since = Some(version.ok_or("a version is major.minor")?);
        return Ok(());
    }
    if let Some(block) = text.strip_prefix("accounts: ") {
        dialogue
            .config
            .push(("accounts".to_owned(), block.to_owned()));
        return Ok(());
    }
    if let Some(block) = text.strip_prefix("limits: ") {
        let setting = ("limits".to_owned(), block.to_owned());
        dialogue.config.push(setting);
        return Ok(());
    }
    if let Some(only) = text.strip_prefix("only: ") {
        let (who, why) = only
            .split_once(", ")
            .ok_or("`only: who, why` gives its reason")?;
        dialogue.only = Some(match who {
            "midge" if !why.is_empty() => Only::Midge,
            "reference" if !why.is_empty() => Only::Reference,
            _ => return Err("`only` knows midge and reference".to_owned()),
        });
        return Ok(());
    }
    if text.starts_with("uncut: ") {
        dialogue.uncut = true;
        return Ok(());
    }
    let action = action(text)?;
    if let (Action::ExpectAnyOrder { client, units }, Some(last)) =
        (&action, dialogue.steps.last_mut())
        && let Action::ExpectAnyOrder {
            client: before,
            units: group,
        } = &mut last.action
        && before == client
    {
        let pattern = units[0][0].clone();
        match group.last_mut() {
            Some(unit) if unit[0].opens_a_message() && !pattern.opens_a_message() => {
                unit.push(pattern);
            }
            _ => group.push(vec![pattern]),
        }
        return Ok(());
    }
    dialogue.steps.push(Step { line, action });
    Ok(())
}

/// One step: who, the sign, the text.
fn action(text: &str) -> Result<Action, String> {
    if text == "." {
        return Ok(Action::Quiet { client: None });
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '|')
        .unwrap_or(text.len());
    let clients: Vec<Name> = text[..end].split('|').map(name).collect::<Result<_, _>>()?;
    let rest = &text[end..];
    let client = clients[0];
    if clients.len() > 1 {
        let line = rest
            .strip_prefix('<')
            .ok_or("several clients can only be listened to")?;
        let line = Pattern::parse(after_blank(line)?)?;
        let continues = !line.opens_a_message();
        return Ok(Action::ExpectOneOf {
            clients,
            line,
            continues,
        });
    }
    if let Some(strings) = rest.strip_prefix(">>") {
        return Ok(Action::Send {
            client,
            pieces: quoted(after_blank(strings)?)?,
        });
    }
    if let Some(line) = rest.strip_prefix('>') {
        let mut bytes = unescape(after_blank(line)?)?;
        bytes.extend_from_slice(b"\r\n");
        return Ok(Action::Send {
            client,
            pieces: vec![bytes],
        });
    }
    if let Some(json) = rest.strip_prefix("<INFO ") {
        let fields = serde_json::from_str(json).map_err(|e| e.to_string())?;
        return Ok(Action::ExpectInfo { client, fields });
    }
    if let Some(line) = rest.strip_prefix("<~") {
        let line = Pattern::parse(after_blank(line)?)?;
        return Ok(Action::ExpectAnyOrder {
            client,
            units: vec![vec![line]],
        });
    }
    if let Some(line) = rest.strip_prefix('<') {
        return Ok(match after_blank(line)? {
            "EOF" => Action::ExpectEnd { client },
            line => Action::Expect {
                client,
                line: Pattern::parse(line)?,
            },
        });
    }
    match rest {
        "." => Ok(Action::Quiet {
            client: Some(client),
        }),
        " half-close" => Ok(Action::HalfClose { client }),
        " close" => Ok(Action::Close { client }),
        _ => Err("not a step".to_owned()),
    }
}

fn name(text: &str) -> Result<Name, String> {
    text.parse()
        .map_err(|_| "a client is called by a number".to_owned())
}

/// The text of a step, one blank behind its sign; an empty line needs no blank.
fn after_blank(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        return Ok(text);
    }
    text.strip_prefix(' ')
        .ok_or_else(|| "a blank belongs behind the sign".to_owned())
}

/// `"one" "two"`: the strings, unescaped.
fn quoted(mut text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut strings = Vec::new();
    loop {
        let inner = text.strip_prefix('"').ok_or("raw bytes are quoted")?;
        let mut escaped = false;
        let end = inner.find(|c| {
            let quote = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            quote
        });
        let end = end.ok_or("the quote is not closed")?;
        strings.push(unescape(&inner[..end])?);
        match &inner[end + 1..] {
            "" => return Ok(strings),
            more => text = after_blank(more)?,
        }
    }
}

/// `\r \n \t \0 \\ \" \* \x7f` and `{text*times}`; everything else stands for itself.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == '{'
            && let Some((inner, after)) = rest.split_once('}')
            && let Some((unit, times)) = inner.rsplit_once('*')
            && !unit.contains('{')
            && let Ok(times) = times.parse()
        {
            bytes.extend(unescape(unit)?.repeat(times));
            rest = after;
        } else if c == '\\' {
            let code = rest.chars().next().ok_or("a lone backslash at the end")?;
            rest = &rest[code.len_utf8()..];
            bytes.push(match code {
                'r' => b'\r',
                'n' => b'\n',
                't' => b'\t',
                '0' => 0,
                '\\' | '"' | '*' => code as u8,
                'x' => {
                    let (hex, after) = rest.split_at_checked(2).ok_or("\\x needs two digits")?;
                    rest = after;
                    u8::from_str_radix(hex, 16).map_err(|e| e.to_string())?
                }
                _ => return Err(format!("unknown escape \\{code}")),
            });
        } else {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(bytes)
}
