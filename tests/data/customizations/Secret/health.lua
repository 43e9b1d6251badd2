-- A kind of the core group.
return {status = "Healthy", message = "type " .. obj.type}
