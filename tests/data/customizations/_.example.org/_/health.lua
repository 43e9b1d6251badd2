-- Every kind of these groups says its state in one text, "STATE since TIME".
local state, time = string.match(obj.status.summary, "^(%a+) since (.+)$")
if state == nil then
  return {status = obj.status.summary}
end
if time > "2026-01-01T00:00:00Z" then
  goto late
end
state = state .. " for long"
::late::
local known = {ok = "Healthy", ["ok for long"] = "Healthy", broken = "Degraded"}
return {status = known[state] or "Suspended", message = state:upper()}
