//! What scripts may do, and how those end that do more.

use serde_json::json;

use super::*;

/// A clock on which each look at it takes a moment, so that an endless loop ends soon.
fn fast_clock() -> Clock {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    Clock {
        now: || "2026-01-02T03:04:05Z".parse().unwrap(),
        elapsed: || Duration::from_micros(5 * LOOKS.fetch_add(1, Ordering::Relaxed)),
    }
}

fn said(engine: &Engine, script: &str, is_open: bool) -> String {
    let object = Object::new(json!({
        "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"},
        "spec": {"replicas": 3, "none": null, "big": 1e15, "half": 0.5},
        "status": {"list": [1, null, "b"], "empty": {}, "at": "2026-01-01T00:00:00Z"},
    }));
    match engine.assess(&Script::new(script.to_owned(), is_open), &object.unwrap()) {
        None => "empty".to_owned(),
        Some(health) => format!("{} {}", health.status, health.message),
    }
}

#[test]
fn the_result_decides() {
    let engine = Engine::new(fast_clock());
    let check = |script: &str, expected: &str| {
        assert_eq!(said(&engine, script, false), expected, "{script}");
    };
    let not_a_table = |kind| format!("Unknown expect table output from Lua script, not {kind}");
    let go = "json: error calling MarshalJSON for type json.jsonValue: ";
    check("return {status = 'Healthy', message = 'fine', other = {1}}", "Healthy fine");
    check("return {Status = 'Healthy', MESSAGE = 'fine'}", "Healthy fine");
    check("return 'first', {status = 'Degraded'}", "Degraded ");
    check("", "empty");
    check("return nil", "empty");
    check("return {}", "empty");
    check("return {'Healthy'}", "empty");
    check("return {status = {}}", "empty");
    check("return 1", &not_a_table("number"));
    check("return 'Healthy'", &not_a_table("string"));
    check("return true", &not_a_table("boolean"));
    check("return print", &not_a_table("function"));
    check("return {status = 'healthy'}", "Unknown Lua returned an invalid health status");
    check("return {message = 'x'}", "Unknown Lua returned an invalid health status");
    let wrong = "Unknown json: cannot unmarshal number into Go struct field HealthStatus";
    check("return {status = 1}", &format!("{wrong}.status of type health.HealthStatusCode"));
    check("return {status = 'Healthy', message = 1}", &format!("{wrong}.message of type string"));
    check("return {[2] = 1}", &format!("Unknown {go}cannot encode sparse array"));
    check("return {1, a = 2}", &format!("Unknown {go}cannot encode mixed or invalid key types"));
    check("return {a = {print}}", &format!("Unknown {go}{go}{go}cannot encode function to JSON"));
    check("return {a = 0/0}", &format!("Unknown {go}{go}json: unsupported value: NaN"));
    let nested = format!("Unknown {go}{go}cannot encode recursively nested tables to JSON");
    check("local t = {} t.a = t return t", &nested);
    check("return setmetatable({}, {__index = {status = 'Healthy'}})", "empty");
}

#[test]
fn the_object_is_handed_over_as_argo_cd_does() {
    let engine = Engine::new(fast_clock());
    let check = |expression: &str, expected: &str| {
        let script = format!("return {{status = 'Healthy', message = tostring({expression})}}");
        assert_eq!(said(&engine, &script, false), format!("Healthy {expected}"), "{expression}");
    };
    check("obj.metadata.name", "w");
    check("obj.spec.replicas", "3");
    check("obj.spec.big", "1000000000000000");
    check("obj.spec.half", "0.5");
    check("obj.spec.none", "nil");
    check("#obj.status.list", "2");
    check("obj.status.list[2]", "b");
    check("next(obj.status.empty)", "nil");
    check("obj.status.at < '2026-01-02'", "true");
    check("next(actionParams)", "nil");
}

#[test]
fn the_libraries_are_argo_cds() {
    let engine = Engine::new(fast_clock());
    let check = |is_open: bool, expression: &str, expected: &str| {
        let script = format!("return {{status = 'Healthy', message = tostring({expression})}}");
        assert_eq!(said(&engine, &script, is_open), format!("Healthy {expected}"), "{expression}");
    };
    for closed in ["string", "math", "io", "os", "coroutine", "debug", "bit32", "utf8", "buffer"] {
        check(false, closed, "nil");
    }
    for added in ["typeof", "vector", "table.find", "table.create", "table.unpack", "rawlen"] {
        check(true, added, "nil");
    }
    check(true, "string.split or math.clamp or coroutine.close", "nil");
    check(false, "table.getn({1, 2})", "2");
    check(false, "table.time()", "1767323045");
    check(false, "require('os').date('!%Y-%m-%d')", "2026-01-02");
    check(false, "require('os').clock", "nil");
    check(false, "require('os') == require('os')", "true");
    check(true, "require('os') == os and tostring(os.getenv('HOME'))", "nil");
    check(true, "('a-b'):gsub('%-', '+')", "a+b");
    check(true, "math.mod(7, 4)", "3");
    check(true, "coroutine.wrap(function() coroutine.yield('y') end)()", "y");
    check(false, "loadstring('return 1 + ...')(2)", "3");
    check(false, "loadstring('for i = 1, 2 do goto a; ::a:: end return 1')()", "1");
    check(
        false,
        "select(2, loadstring('x'))",
        "<string>:1: Incomplete statement: expected assignment or a function call",
    );
}

#[test]
fn a_script_sees_nothing_of_the_one_before() {
    let engine = Engine::new(fast_clock());
    let spoil = "leak = 1; table.leak = 1; string.leak = 1; getmetatable('').__add = 1
        table.insert = nil; package.loaded.leak = 1; obj.leak = 1
        pcall(function() getfenv(print).leak = 1 end) pcall(function() getfenv(0).leak = 1 end)
        pcall(rawset, getfenv(pcall), 'leak', 1)
        return {status = 'Healthy'}";
    assert_eq!(said(&engine, spoil, true), "Healthy ");
    let look = "return {status = 'Healthy', message = tostring(leak or table.leak or string.leak
        or getmetatable('').__add or package.loaded.leak or obj.leak or getfenv(print).leak
        or getfenv(0).leak or getfenv(pcall).leak or table.insert == nil)}";
    assert_eq!(said(&engine, look, true), "Healthy false");
    let own = "function string.shout(s) return s .. '!' end
        return {status = 'Healthy', message = ('a'):shout()}";
    assert_eq!(said(&engine, own, true), "Healthy a!");
}

#[test]
fn hostile_scripts_end_as_unknown_with_the_reason() {
    let cases = include_str!("../../../tests/data/lua/hostile.yaml");
    let cases: Vec<serde_json::Value> = serde_yaml::from_str(cases).unwrap();
    let engine = Engine::new(fast_clock());
    for case in &cases {
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        let (script, ends) = (text("script"), text("ends"));
        let found = said(&engine, script, case["open"] == true);
        assert!(found.contains(ends), "{}: {found}", text("name"));
        assert!(found.len() < 10_000, "{}", text("name"));
    }
    assert_eq!(said(&engine, "return {status = 'Healthy'}", false), "Healthy ");
}
