//! A token among the lines of a file, as tools write them.
//!
//! ```text
//! -----BEGIN NATS OPERATOR JWT-----
//! eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJ...
//! ------END NATS OPERATOR JWT------
//! ```

/// The token in a text: the line between two that begin and end with dashes, or the text itself if it has none of
/// those. Blanks and line ends around it are left out.
pub fn find(text: &str) -> Option<&str> {
    let is_fence = |line: &str| {
        let line = line.trim_end();
        line.len() > 6 && line.starts_with("---") && line.ends_with("---")
    };
    let is_token = |line: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte);
        !line.is_empty() && line.bytes().all(good)
    };
    let lines: Vec<&str> = text.lines().collect();
    if !lines.iter().any(|line| is_fence(line)) {
        let token = text.trim();
        return is_token(token).then_some(token);
    }
    let blocks = lines.windows(3);
    let mut tokens = blocks.filter(|lines| is_fence(lines[0]) && is_fence(lines[2]));
    tokens.find_map(|lines| {
        let token = lines[1].trim();
        is_token(token).then_some(token)
    })
}
