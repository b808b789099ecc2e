-- The same POST for every server of a comparison.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"title":"a title of usual length","content":"' ..
   string.rep("content ", 10) .. '"}'

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      '\n{"requests":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d,' ..
      '"socket_errors":%d,"status_errors":%d}\n',
      summary.requests, summary.duration / 1e6,
      latency:percentile(50), latency:percentile(99),
      e.connect + e.read + e.write + e.timeout, e.status))
end
