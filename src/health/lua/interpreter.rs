//! An interpreter with Argo CD's libraries and with limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{
    Error, Function, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value, VmState,
};

use super::jumps::without_jumps;
use super::values::to_lua;
use super::{Clock, MEMORY, SOURCE, TIME};
use crate::k8s::Object;

/// What errors call the script, as in Argo CD.
const NAME: &str = "=<string>";

/// How much longer than the error itself a message may not be.
const ERROR_TEXT: usize = 4096;

/// An interpreter that runs one script after the other, each in an environment of its own.
pub(super) struct Interpreter {
    lua: Lua,
    clock: Clock,
    /// When the script that runs must have ended, in microseconds of the clock.
    deadline: Arc<AtomicU64>,
    /// Makes an environment.
    environment: Function,
}

/// Returns the script as bytecode.
///
/// # Errors
///
/// Fails with the place and the reason if it is no Lua.
pub(super) fn compile(source: &str) -> Result<Vec<u8>, String> {
    if source.len() > SOURCE {
        return Err(format!("the script is longer than {SOURCE} bytes"));
    }
    let rewritten = without_jumps(source).map_err(|error| format!("<string>:{error}"))?;
    // Inlining, level 2, would take a library's function for granted that a script may replace.
    let compiler = Compiler::new().set_optimization_level(1).set_debug_level(1);
    let compiled = compiler.compile(rewritten.as_deref().unwrap_or(source));
    compiled.map_err(|error| match error {
        Error::SyntaxError { message, .. } => {
            format!("<string>:{}", message.trim_start_matches(':').trim_start())
        }
        other => text(&other),
    })
}

impl Interpreter {
    /// Returns a new interpreter.
    ///
    /// # Errors
    ///
    /// Fails if there is no memory for it.
    pub(super) fn new(clock: Clock) -> Result<Self, String> {
        Self::prepare(clock).map_err(|error| text(&error))
    }

    fn prepare(clock: Clock) -> mlua::Result<Self> {
        let libraries =
            StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS | StdLib::COROUTINE;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        lua.set_memory_limit(MEMORY)?;
        let native = lua.globals();
        let prelude = lua.load(include_str!("environment.luau")).set_name("=environment");
        let environment = prelude.call((native.clone(), host(&lua, clock)?))?;
        // Functions still know these globals, and `getfenv` hands them out.
        native.clear()?;
        native.set_readonly(true);
        let deadline = Arc::new(AtomicU64::new(0));
        lua.set_interrupt(interrupt(clock, Arc::clone(&deadline)));
        Ok(Self { lua, clock, deadline, environment })
    }

    /// Returns what the script returned last for the object.
    ///
    /// # Errors
    ///
    /// Fails with the script's error, or with the limit that it ran into.
    pub(super) fn run(
        &self,
        bytecode: &[u8],
        has_open_libraries: bool,
        object: &Object,
    ) -> Result<Value, String> {
        self.deadline.store(micros((self.clock.elapsed)() + TIME), Ordering::Relaxed);
        let mut results: MultiValue =
            self.call(bytecode, has_open_libraries, object).map_err(|error| text(&error))?;
        Ok(results.pop_back().unwrap_or(Value::Nil))
    }

    fn call(
        &self,
        bytecode: &[u8],
        has_open_libraries: bool,
        object: &Object,
    ) -> mlua::Result<MultiValue> {
        let (globals, texts): (Table, Option<Table>) = self.environment.call(has_open_libraries)?;
        let methods = texts.map(|texts| self.lua.create_table_from([("__index", texts)]));
        self.lua.set_type_metatable::<LuaString>(methods.transpose()?);
        globals.raw_set("obj", self.unguarded(|lua| to_lua(lua, object.value()))?)?;
        globals.raw_set("actionParams", self.lua.create_table()?)?;
        self.lua.set_globals(globals)?;
        self.lua.load(bytecode).set_name(NAME).set_mode(ChunkMode::Binary).call(())
    }

    /// Returns what `make` makes without the memory limit, which counts again, with what was made,
    /// as soon as the script runs. Under a limit every single allocation is a protected call, and
    /// that is most of the time that it takes to hand over an object.
    fn unguarded<T>(&self, make: impl FnOnce(&Lua) -> mlua::Result<T>) -> mlua::Result<T> {
        self.lua.set_memory_limit(0)?;
        let made = make(&self.lua);
        self.lua.set_memory_limit(MEMORY)?;
        made
    }
}

/// Returns what a script's environment is made of besides the interpreter's own functions.
fn host(lua: &Lua, clock: Clock) -> mlua::Result<Table> {
    let now = move |_: &Lua, ()| Ok((clock.now)().as_second() as f64);
    let elapsed = move |_: &Lua, ()| Ok((clock.elapsed)().as_secs_f64());
    let compile = |lua: &Lua, (source, name): (LuaString, Option<LuaString>)| {
        let source = String::from_utf8_lossy(&source.as_bytes()).into_owned();
        let name = name.map_or_else(
            || NAME.to_owned(),
            |name| format!("={}", String::from_utf8_lossy(&name.as_bytes())),
        );
        let function = compile(&source).and_then(|bytecode| {
            let chunk = lua.load(bytecode).set_name(name).set_mode(ChunkMode::Binary);
            chunk.into_function().map_err(|error| text(&error))
        });
        Ok(match function {
            Ok(function) => (Some(function), None),
            Err(error) => (None, Some(error)),
        })
    };
    lua.create_table_from([
        ("now", lua.create_function(now)?),
        ("elapsed", lua.create_function(elapsed)?),
        ("compile", lua.create_function(compile)?),
    ])
}

/// Returns the function that the interpreter calls at every step, and that ends a script that had
/// its time. `pcall` may catch that, but the very next step fails again.
fn interrupt(
    clock: Clock,
    deadline: Arc<AtomicU64>,
) -> impl Fn(&Lua) -> mlua::Result<VmState> + Send + 'static {
    move |lua| {
        if micros((clock.elapsed)()) < deadline.load(Ordering::Relaxed) {
            return Ok(VmState::Continue);
        }
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "it is for one lifetime only"
        )]
        let line = lua.inspect_stack(0, |frame| frame.current_line()).flatten();
        let place = line.map(|line| format!("<string>:{line}: ")).unwrap_or_default();
        Err(Error::runtime(format!("{place}context deadline exceeded")))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Returns the error in a line, without the traceback.
fn text(error: &Error) -> String {
    let message = match error {
        Error::CallbackError { cause, .. } => return text(cause),
        Error::RuntimeError(message) | Error::SyntaxError { message, .. } => message.as_str(),
        Error::MemoryError(_) => "not enough memory",
        other => &other.to_string(),
    };
    let message = message.split("\nstack traceback:").next().unwrap_or_default();
    message.chars().take(ERROR_TEXT).collect()
}
