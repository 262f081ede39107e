//! Any endpoint that speaks OpenAI's chat completions: OpenAI itself, Ollama, vLLM, llama.cpp and many more.
//!
//! Source of the protocol: OpenAI API reference, "Create chat completion" and "Streaming"; structured answers: "Structured
//! model outputs" (`response_format` of type `json_schema`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::Key;
use crate::ai::sse::Lines;
use crate::ai::{Message, Speaker};
use crate::guard::{Guard, Limits};
use crate::http::{self, body};
use crate::{ProviderError, Result};

/// The longest answer in bytes.
const LONGEST: usize = 1 << 20;

/// A piece of an answer while it is being made.
pub type Delta = String;

/// What an endpoint needs to be asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Up to and with `/v1`.
    pub base_url: String,
    /// Sent as a bearer token; local servers need none.
    pub key: Option<Key>,
    /// The model's name.
    pub model: String,
    /// The most tokens of an answer in a conversation.
    pub answer_tokens: u32,
    /// The most tokens of a structured answer.
    pub report_tokens: u32,
    /// Limits of every call.
    pub limits: Limits,
}

/// A client of one endpoint.
#[derive(Debug)]
pub struct OpenAi {
    http: reqwest::Client,
    settings: Settings,
    guard: Guard,
    /// The endpoint refused a schema once: it is only told in words since.
    no_schemas: AtomicBool,
    /// The endpoint wants the bound of an answer under its newer name.
    newer_bound: AtomicBool,
}

/// An answer in a given form.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// A name of letters and underscores.
    pub name: &'a str,
    /// Its JSON schema; every property required, none additional (the endpoints' "strict" mode demands it).
    pub schema: &'a Value,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<ChunkChoice>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct ChunkChoice {
    #[serde(default)]
    delta: ChunkDelta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct ChunkDelta {
    content: Option<String>,
}

impl OpenAi {
    /// A client; nothing is asked yet. `seed` makes the jitter of second tries.
    ///
    /// # Errors
    /// As [`http::client`].
    pub fn new(settings: Settings, seed: u64) -> Result<Self> {
        let guard = Guard::new("openai", settings.limits, seed);
        Ok(Self {
            http: http::client()?,
            settings,
            guard,
            no_schemas: AtomicBool::new(false),
            newer_bound: AtomicBool::new(false),
        })
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.settings.model
    }

    /// Whether the endpoint answers and takes the key.
    ///
    /// # Errors
    /// As any call.
    pub async fn alive(&self) -> Result<()> {
        self.guard
            .once(async {
                let request = self.authorised(self.http.get(http::url(&self.settings.base_url, "models")?));
                body(request.send().await?, LONGEST).await.map(drop)
            })
            .await
    }

    /// The answer to a conversation, which somebody waits for no longer than so long.
    ///
    /// # Errors
    /// As any call; [`ProviderError::Malformed`] if there is no text in the answer.
    pub async fn say(&self, messages: &[Message], within: Duration) -> Result<String> {
        let request = self.request(messages, self.settings.answer_tokens, None, false);
        self.bounded(request, |request| async move { self.guard.ask_within(within, || self.complete(&request)).await })
            .await
    }

    /// Sends a request; once more if the endpoint knows the bound of an answer only under its newer name, which is remembered.
    async fn bounded<F>(&self, mut request: Value, send: impl Fn(Value) -> F) -> Result<String>
    where
        F: Future<Output = Result<String>>,
    {
        match send(request.clone()).await {
            Err(ProviderError::Refused { status: 400, reason })
                if reason == "unsupported_parameter" && to_newer_bound(&mut request) =>
            {
                self.newer_bound.store(true, Ordering::Relaxed);
                send(request).await
            }
            done => done,
        }
    }

    /// As [`OpenAi::say`]; every piece is also sent to `pieces` when it comes. Whoever listens there may go away.
    ///
    /// # Errors
    /// As any call. What came before the failure was sent.
    pub async fn say_in_pieces(
        &self,
        messages: &[Message],
        pieces: &mpsc::Sender<Delta>,
        within: Duration,
    ) -> Result<String> {
        let request = self.request(messages, self.settings.answer_tokens, None, true);
        // A refusal comes before the first piece.
        self.bounded(
            request,
            |request| async move { self.guard.once_within(within, self.stream(&request, pieces)).await },
        )
        .await
    }

    /// An answer in a form, read as `T` and made into a `U` by `check`, which says what is wrong. A wrong answer is sent back once to be
    /// repaired; after that it is refused.
    ///
    /// # Errors
    /// As any call; [`ProviderError::Malformed`] if the repaired answer is wrong, too.
    pub async fn fill<T: DeserializeOwned, U>(
        &self,
        messages: &[Message],
        form: Form<'_>,
        check: impl Fn(T) -> std::result::Result<U, String>,
    ) -> Result<U> {
        let mut messages = messages.to_vec();
        let answer = self.structured(&messages, form).await?;
        let fault = match read(&answer, &check) {
            Ok(value) => return Ok(value),
            Err(fault) => fault,
        };
        tracing::debug!(form = form.name, fault, "an answer of the model did not fit and is sent back");
        messages.push(Message::new(Speaker::Assistant, answer));
        let demand = format!(
            "That answer cannot be used: {fault}. Answer again with nothing but one JSON object of this schema: {}",
            form.schema
        );
        messages.push(Message::new(Speaker::User, demand));
        let repaired = self.structured(&messages, form).await?;
        read(&repaired, &check).map_err(ProviderError::Malformed)
    }

    async fn structured(&self, messages: &[Message], form: Form<'_>) -> Result<String> {
        let tokens = self.settings.report_tokens;
        let send = |request: Value| async move { self.guard.ask(|| self.complete(&request)).await };
        let mut refused = false;
        if !self.no_schemas.load(Ordering::Relaxed) {
            match self.bounded(self.request(messages, tokens, Some(form), false), send).await {
                // Endpoints that know no schemas say so in many ways, with one of these statuses.
                Err(ProviderError::Refused { status: 400 | 404 | 422 | 501, .. }) => refused = true,
                done => return done,
            }
        }
        let mut messages = messages.to_vec();
        let demand = format!("Answer with nothing but one JSON object of this schema: {}", form.schema);
        match messages.first_mut().filter(|first| first.speaker == Speaker::System) {
            Some(first) => first.text = format!("{}\n\n{demand}", first.text),
            None => messages.insert(0, Message::new(Speaker::System, demand)),
        }
        let answer = self.bounded(self.request(&messages, tokens, None, false), send).await?;
        // Only what is accepted without one shows that it was the schema.
        if refused && !self.no_schemas.swap(true, Ordering::Relaxed) {
            tracing::info!("the endpoint takes no JSON schemas; it is told in words instead");
        }
        Ok(answer)
    }

    fn request(&self, messages: &[Message], tokens: u32, form: Option<Form<'_>>, stream: bool) -> Value {
        let messages: Vec<Value> =
            messages.iter().map(|message| json!({"role": message.speaker.name(), "content": message.text})).collect();
        let mut request = json!({"model": self.settings.model, "messages": messages, "stream": stream});
        request["max_tokens"] = tokens.into();
        if self.newer_bound.load(Ordering::Relaxed) {
            to_newer_bound(&mut request);
        }
        if let Some(Form { name, schema }) = form {
            request["response_format"] =
                json!({"type": "json_schema", "json_schema": {"name": name, "strict": true, "schema": schema}});
        }
        request
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.settings.key {
            Some(key) => request.bearer_auth(&key.0),
            None => request,
        }
    }

    async fn send(&self, request: &Value) -> Result<Response> {
        let url = http::url(&self.settings.base_url, "chat/completions")?;
        Ok(self.authorised(self.http.post(url)).json(request).send().await?)
    }

    async fn complete(&self, request: &Value) -> Result<String> {
        let bytes = body(self.send(request).await?, LONGEST).await.map_err(without_words)?;
        let completion: Completion = http::json(&bytes)?;
        let said = completion.choices.into_iter().next().and_then(|choice| choice.message.content);
        said.filter(|text| !text.trim().is_empty()).ok_or_else(|| ProviderError::Malformed("no text in it".into()))
    }

    async fn stream(&self, request: &Value, pieces: &mpsc::Sender<Delta>) -> Result<String> {
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return body(response, LONGEST).await.map_err(without_words).map(|_| String::new());
        }
        let (mut lines, mut text, mut is_complete) = (Lines::default(), String::new(), false);
        let mut chunks = response.bytes_stream();
        while let (false, Some(chunk)) = (is_complete, chunks.next().await) {
            for data in lines.push(&chunk?)? {
                is_complete |= self.piece(&data, &mut text, pieces).await?;
            }
        }
        if !is_complete && let Some(data) = lines.finish()? {
            is_complete = self.piece(&data, &mut text, pieces).await?;
        }
        if !is_complete {
            return Err(ProviderError::Unreachable("the answer broke off".into()));
        }
        if text.trim().is_empty() { Err(ProviderError::Malformed("no text in it".into())) } else { Ok(text) }
    }

    /// Takes one event; says whether it was the last.
    async fn piece(&self, data: &str, text: &mut String, pieces: &mpsc::Sender<Delta>) -> Result<bool> {
        if data == "[DONE]" {
            return Ok(true);
        }
        let chunk: Chunk = http::json(data.as_bytes())?;
        if chunk.error.is_some() {
            return Err(ProviderError::Refused { status: 200, reason: "an error in the middle of the answer".into() });
        }
        let mut is_last = false;
        for choice in chunk.choices.into_iter().take(1) {
            if let Some(piece) = choice.delta.content.filter(|piece| !piece.is_empty()) {
                if text.len() + piece.len() > LONGEST {
                    return Err(ProviderError::Malformed(format!("the answer is longer than {LONGEST} bytes")));
                }
                text.push_str(&piece);
                // Nobody listens any more: the answer is still wanted, for the history.
                let _ = pieces.send(piece).await;
            }
            is_last |= choice.finish_reason.is_some();
        }
        Ok(is_last)
    }
}

/// Gives the bound of an answer its newer name; says whether it had the old one.
fn to_newer_bound(request: &mut Value) -> bool {
    let bound = request.as_object_mut().and_then(|request| request.remove("max_tokens"));
    let Some(bound) = bound else { return false };
    request["max_completion_tokens"] = bound;
    true
}

/// Reads and checks an answer. Models like to put JSON into a fence or a sentence around it.
fn read<T: DeserializeOwned, U>(
    answer: &str,
    check: &impl Fn(T) -> std::result::Result<U, String>,
) -> std::result::Result<U, String> {
    let inner = match (answer.find('{'), answer.rfind('}')) {
        (Some(start), Some(end)) if start < end => &answer[start..=end],
        _ => return Err("it holds no JSON object".into()),
    };
    // The parser's own sentences quote values, and with them what somebody said.
    let value = serde_json::from_str(inner).map_err(|error| {
        format!(
            "it is not of the schema ({:?} error at line {} column {})",
            error.classify(),
            error.line(),
            error.column()
        )
    })?;
    check(value)
}

/// A refusal can quote the request, and with it what people said: only its status and the code in it are kept.
fn without_words(error: ProviderError) -> ProviderError {
    let code = |reason: String| {
        let json: Value = serde_json::from_str(&reason).unwrap_or_default();
        let code = json["error"]["code"].as_str().or_else(|| json["error"]["type"].as_str()).unwrap_or("no code");
        code.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.')).take(64).collect()
    };
    match error {
        ProviderError::Refused { status, reason } => ProviderError::Refused { status, reason: code(reason) },
        ProviderError::Key(reason) => ProviderError::Key(code(reason)),
        ProviderError::Quota(reason) => ProviderError::Quota(code(reason)),
        other => other,
    }
}
