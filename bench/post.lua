-- The same POST for every server of a comparison; with the argument "batch"
-- a thousand of its events as NDJSON.
local event = '{"title":"a title of usual length","content":"' ..
   string.rep("content ", 10) .. '"}'

function init(args)
   wrk.method = "POST"

   if args[1] == "batch" then
      wrk.headers["Content-Type"] = "application/x-ndjson"
      wrk.body = string.rep(event .. "\n", 1000)
   else
      wrk.headers["Content-Type"] = "application/json"
      wrk.body = event
   end
end

function done(summary, latency, requests)
   local e = summary.errors
   local at = {}

   for _, p in ipairs({10, 25, 50, 75, 90, 95, 99, 99.9, 99.99}) do
      at[#at + 1] = string.format("[%g,%d]", p, latency:percentile(p))
   end

   io.write(string.format(
      '\n{"requests":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d,' ..
      '"percentiles_us":[%s],"socket_errors":%d,"status_errors":%d}\n',
      summary.requests, summary.duration / 1e6,
      latency:percentile(50), latency:percentile(99),
      table.concat(at, ","),
      e.connect + e.read + e.write + e.timeout, e.status))
end
