# A worker: takes jobs, upper-cases each payload. TOKEN is its bearer token, if the server wants one.
require "net/http"

JOBD = ENV.fetch("JOBD", "").chomp("/")
abort "JOBD is not set: where is the server, as http://localhost:8080" if JOBD.empty?
FIELDS = { "Accept-Encoding" => "identity" }
FIELDS["Authorization"] = "Bearer #{ENV["TOKEN"]}" if ENV["TOKEN"]

# Tries until the server has decided: its answer; or nil, it never will.
def post(path, body = "")
  pause = 1
  loop do
    begin
      uri = URI(JOBD + path)
      answer = Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == "https", read_timeout: 90, max_retries: 0) do |http|
        http.post(uri.request_uri, body, FIELDS)
      end
      raise EOFError, "half an answer" if answer.body.to_s.bytesize < answer.content_length.to_i
      return answer if answer.is_a?(Net::HTTPSuccess)
      warn "#{path}: #{answer.code} #{answer.body.to_s.strip}"
      code = answer.code.to_i
      exit 1 if [401, 403].include?(code)
      return nil if code < 500 && ![408, 429].include?(code)
    rescue SystemCallError, IOError, SocketError, Timeout::Error, Net::ProtocolError => error
      warn "#{path}: #{error.message}"
    end
    sleep pause
    pause = [2 * pause, 30].min
  end
end

loop do
  job = post("/take?wait=30s")
  sleep 5 unless job
  next unless job&.code == "200"
  lease = job["Location"]
  begin
    output = job.body.to_s.upcase
  rescue StandardError => error
    post("#{lease}/fail", error.message)
  else
    post("#{lease}/done", output)
  end
end
