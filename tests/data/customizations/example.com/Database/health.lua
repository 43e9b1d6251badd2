-- The phase, and in the second place what keeps the database from it.
local health = {status = "Progressing", message = "Waiting for the database"}
if obj.status == nil or obj.status.phase == nil then
  return health
end
local reasons = {}
for i, condition in ipairs(obj.status.conditions or {}) do
  if condition.status == "True" then
    goto continue
  end
  table.insert(reasons, condition.type .. ": " .. (condition.message or condition.reason))
  ::continue::
end
if obj.status.phase == "Running" and #reasons == 0 then
  health.status = "Healthy"
  health.message = obj.status.replicas .. " replicas"
elseif obj.status.phase == "Failed" then
  health.status = "Degraded"
  health.message = table.concat(reasons, ", ")
elseif obj.status.phase == "Nothing" then
  return {}
end
return health
