-- What `wrk` sends: one kind of request over and over, each time for another number.
--
--   wrk … -s load.lua URL -- METHOD PATH BODY ITEM ITEMS FIRST SPAN
--
-- "{n}" in PATH and BODY is a number from FIRST to FIRST + SPAN - 1; numbers come in leaps, so that
-- neighbours in time are never neighbours in the key space, and none comes again before all have been.
-- "{items}" in BODY is a list of ITEMS times ITEM, with numbers that follow each other.

local LEAP = 7919 -- a prime that divides no SPAN in use
local method, path, body, item, items, first, span
local turn = 0

function init(args)
  method, path, body, item = args[1], args[2], args[3], args[4]
  items, first, span = tonumber(args[5]), tonumber(args[6]), tonumber(args[7])
end

local function numbered(text, n)
  return (text:gsub("{n}", string.format("%09d", n)))
end

function request()
  turn = turn + 1
  local n = first + (turn * LEAP) % span
  local sent = nil
  if body ~= "" then
    if items > 0 then
      local list = {}
      for i = 1, items do
        list[i] = numbered(item, first + (turn * LEAP * items + i) % span)
      end
      sent = body:gsub("{items}", table.concat(list, ","))
    else
      sent = numbered(body, n)
    end
  end
  return wrk.format(method, numbered(path, n), nil, sent)
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "mean_ms": %.3f,'
      .. ' "deviation_ms": %.3f, "refused": %d, "broken": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.mean / 1e3, latency.stdev / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
