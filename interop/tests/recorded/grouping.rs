//! Which recorded exchanges are one operation of ours: by meaning, not by position.

use std::collections::BTreeMap;

use crate::{
    recording::{Exchange, query},
    target::target,
};

/// A recorded request with its final answer, and the refusals that came before it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// 401s that were followed by the same request with a token.
    pub(crate) challenges: Vec<Exchange>,
    pub(crate) last: Exchange,
}

/// What one operation of ours says and hears.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// Where it starts in the recording.
    pub(crate) at: usize,
    pub(crate) steps: Vec<Step>,
    /// The answers to token calls that belong to it.
    pub(crate) tokens: Vec<Exchange>,
}

/// Sorts a recording into conversations.
pub(crate) fn group(exchanges: &[Exchange]) -> Vec<Conversation> {
    let mut taken = Taken { exchanges, is_done: vec![false; exchanges.len()] };
    let mut conversations = Vec::new();
    for at in 0..exchanges.len() {
        if !taken.is_done[at] {
            conversations.push(taken.conversation(at));
        }
    }
    conversations
}

struct Taken<'a> {
    exchanges: &'a [Exchange],
    is_done: Vec<bool>,
}

impl Taken<'_> {
    fn conversation(&mut self, at: usize) -> Conversation {
        let exchange = &self.exchanges[at];
        let (mut members, mut challenges) = (Vec::new(), Vec::new());
        if exchange.is_token_call() || exchange.is_storage() {
            self.is_done[at] = true;
            members.push(at);
            challenges.push(Vec::new());
        } else {
            let mut next = Some(at);
            while let Some(at) = next {
                let (refused, last) = self.follow(at);
                members.push(last);
                challenges.push(refused);
                next = self.next_step(&members);
            }
        }
        let tokens = self.tokens(at, &members, &challenges);
        let pick = |&at: &usize| self.exchanges[at].clone();
        let steps = members.iter().zip(&challenges).map(|(last, challenges)| Step {
            challenges: challenges.iter().map(pick).collect(),
            last: pick(last),
        });
        Conversation { at, steps: steps.collect(), tokens: tokens.iter().map(pick).collect() }
    }

    /// From a 401 to the same request with a token, if there is one.
    fn follow(&mut self, mut at: usize) -> (Vec<usize>, usize) {
        let mut refused = Vec::new();
        self.is_done[at] = true;
        while self.exchanges[at].status == 401 {
            let Some(next) = self.again(at) else { break };
            refused.push(at);
            self.is_done[next] = true;
            at = next;
        }
        (refused, at)
    }

    /// The same request further on, with a token got in between; requests of others may
    /// stand there too.
    fn again(&self, at: usize) -> Option<usize> {
        let exchange = &self.exchanges[at];
        let next = (at + 1..self.exchanges.len())
            .find(|&next| !self.is_done[next] && is_same(&self.exchanges[next], exchange))?;
        let has_token = self.exchanges[at..next].iter().any(|e| e.token().is_some());
        (has_token || next == at + 1).then_some(next)
    }

    fn next_step(&self, members: &[usize]) -> Option<usize> {
        let (first, last) = (&self.exchanges[*members.first()?], *members.last()?);
        let from = &self.exchanges[last];
        let find = |fits: &dyn Fn(&Exchange) -> bool| {
            (last + 1..self.exchanges.len()).find(|&next| {
                let e = &self.exchanges[next];
                !self.is_done[next] && e.registry == first.registry && fits(e)
            })
        };
        if first.is_upload() {
            return match (from.method.as_str(), from.status) {
                ("PUT" | "DELETE", _) => None,
                ("POST", 202) | ("PATCH" | "GET", _) => {
                    let session = session_of(first).or_else(|| session_of(from))?;
                    find(&|e| session_of(e).as_ref() == Some(&session) && e.method != "POST")
                }
                _ => None,
            };
        }
        if matches!(from.status, 301 | 302 | 303 | 307 | 308) {
            let location = from.response_header("location").unwrap_or_default();
            return (last + 1..self.exchanges.len()).find(|&next| {
                let e = &self.exchanges[next];
                !self.is_done[next] && e.is_storage() && location.contains(e.path.as_str())
            });
        }
        let is_list = target(&first.decoded_path()).is_some_and(|target| target.is_list());
        if is_list && first.method == "GET" && from.status == 200 && first.has_query() {
            let mut expected = next_query(from)?;
            // The registry's links forget the filter; whoever puts it back asks the same list.
            for name in ["digest", "artifactType"] {
                if let Some(value) = first.query().get(name) {
                    expected.insert(name.to_owned(), value.clone());
                }
            }
            return find(&|e| {
                e.method == "GET"
                    && e.has_query()
                    && e.decoded_path() == first.decoded_path()
                    && e.query() == expected
            });
        }
        None
    }

    /// The token calls from the first member to the last, those for the challenged scope
    /// only where the form says which it is.
    fn tokens(&self, at: usize, members: &[usize], challenges: &[Vec<usize>]) -> Vec<usize> {
        let start = challenges.iter().flatten().copied().min().unwrap_or(at).min(at);
        let end = members.last().copied().unwrap_or(at);
        // Java's recorder stood inside of sign-in: its token calls come before the request.
        let start = (0..start)
            .rev()
            .take_while(|&i| self.exchanges[i].is_token_call())
            .last()
            .unwrap_or(start);
        let wanted: Vec<_> = challenges
            .iter()
            .flatten()
            .filter_map(|&i| self.exchanges[i].challenged_scope())
            .collect();
        let fits = |e: &Exchange| {
            let scope = e.form().and_then(|form| form.get("scope").cloned());
            scope.is_none_or(|scope| {
                wanted.is_empty() || wanted.contains(&acr_core::Scope::parse_lenient(&scope))
            })
        };
        let all: Vec<usize> =
            (start..end).filter(|&i| self.exchanges[i].token().is_some()).collect();
        let fitting: Vec<usize> =
            all.iter().copied().filter(|&i| fits(&self.exchanges[i])).collect();
        let is_access = |&i: &usize| self.exchanges[i].path == "/oauth2/token";
        if fitting.iter().any(is_access) { fitting } else { all }
    }
}

fn is_same(one: &Exchange, other: &Exchange) -> bool {
    one.method == other.method
        && one.registry == other.registry
        && one.decoded_path() == other.decoded_path()
        && one.query() == other.query()
        && one.request_header("range") == other.request_header("range")
}

/// The session that a request goes to, or that its answer opens.
fn session_of(exchange: &Exchange) -> Option<String> {
    let path = if exchange.method == "POST" {
        exchange.response_header("location")?.split('?').next()?.to_owned()
    } else {
        exchange.decoded_path()
    };
    let (_, session) = path.split_once("/blobs/uploads/")?;
    (!session.is_empty()).then(|| session.to_owned())
}

/// The query of the link to the next page.
pub(crate) fn next_query(exchange: &Exchange) -> Option<BTreeMap<String, String>> {
    let link = exchange.response_header("link")?.split(['<', '>']).nth(1)?;
    Some(query(link.split_once('?')?.1))
}
