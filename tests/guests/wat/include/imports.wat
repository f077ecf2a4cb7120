  ;; What the guests of this folder import, at WASI 0.2.0 and only as far as one of them uses it. Behind it stand
  ;;   $memory  one linear memory and its allocator, where lists and strings from the host land
  ;;   $host    the imports as core functions

  (import "wasi:io/error@0.2.0" (instance $io-error
    (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error))

  (import "wasi:io/poll@0.2.0" (instance $io-poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $io-poll "pollable" (type $pollable))

  (import "wasi:io/streams@0.2.0" (instance $io-streams
    (alias outer 1 $error (type $error'))
    (export "error" (type $error (eq $error')))
    (alias outer 1 $pollable (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "input-stream" (type $input (sub resource)))
    (export "output-stream" (type $output (sub resource)))
    (export "[method]input-stream.blocking-read"
      (func (param "self" (borrow $input)) (param "len" u64) (result (result (list u8) (error $stream-error)))))
    (export "[method]output-stream.check-write"
      (func (param "self" (borrow $output)) (result (result u64 (error $stream-error)))))
    (export "[method]output-stream.write"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))
    (export "[method]output-stream.subscribe"
      (func (param "self" (borrow $output)) (result (own $pollable))))))
  (alias export $io-streams "input-stream" (type $input-stream))
  (alias export $io-streams "output-stream" (type $output-stream))

  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))

  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $output-stream (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (export "get-stderr" (func (result (own $output))))))

  (import "wasi:http/types@0.2.0" (instance $http
    (alias outer 1 $input-stream (type $input'))
    (export "input-stream" (type $input (eq $input')))
    (alias outer 1 $output-stream (type $output'))
    (export "output-stream" (type $output (eq $output')))
    (alias outer 1 $pollable (type $pollable'))
    (export "pollable" (type $pollable (eq $pollable')))

    (type $method' (variant
      (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect") (case "options")
      (case "trace") (case "patch") (case "other" string)))
    (export "method" (type $method (eq $method')))
    (type $scheme' (variant (case "HTTP") (case "HTTPS") (case "other" string)))
    (export "scheme" (type $scheme (eq $scheme')))
    (type $header-error' (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
    (export "header-error" (type $header-error (eq $header-error')))
    (type $dns' (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns (eq $dns')))
    (type $tls' (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $tls (eq $tls')))
    (type $size' (record (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $size (eq $size')))
    (type $error-code' (variant
      (case "DNS-timeout") (case "DNS-error" $dns) (case "destination-not-found") (case "destination-unavailable")
      (case "destination-IP-prohibited") (case "destination-IP-unroutable") (case "connection-refused")
      (case "connection-terminated") (case "connection-timeout") (case "connection-read-timeout")
      (case "connection-write-timeout") (case "connection-limit-reached") (case "TLS-protocol-error")
      (case "TLS-certificate-error") (case "TLS-alert-received" $tls) (case "HTTP-request-denied")
      (case "HTTP-request-length-required") (case "HTTP-request-body-size" (option u64))
      (case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $size))
      (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $size)
      (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $size) (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $size)
      (case "HTTP-response-transfer-coding" (option string)) (case "HTTP-response-content-coding" (option string))
      (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
      (case "configuration-error") (case "internal-error" (option string))))
    (export "error-code" (type $error-code (eq $error-code')))

    (export "fields" (type $fields (sub resource)))
    (export "headers" (type $headers (eq $fields)))
    (export "trailers" (type $trailers (eq $fields)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[method]fields.append"
      (func (param "self" (borrow $fields)) (param "name" string) (param "value" (list u8))
            (result (result (error $header-error)))))
    (export "[method]fields.entries"
      (func (param "self" (borrow $fields)) (result (list (tuple string (list u8))))))

    (export "incoming-request" (type $incoming-request (sub resource)))
    (export "incoming-body" (type $incoming-body (sub resource)))
    (export "future-trailers" (type $future-trailers (sub resource)))
    (export "[method]incoming-request.method" (func (param "self" (borrow $incoming-request)) (result $method)))
    (export "[method]incoming-request.path-with-query"
      (func (param "self" (borrow $incoming-request)) (result (option string))))
    (export "[method]incoming-request.scheme"
      (func (param "self" (borrow $incoming-request)) (result (option $scheme))))
    (export "[method]incoming-request.authority"
      (func (param "self" (borrow $incoming-request)) (result (option string))))
    (export "[method]incoming-request.headers"
      (func (param "self" (borrow $incoming-request)) (result (own $headers))))
    (export "[method]incoming-request.consume"
      (func (param "self" (borrow $incoming-request)) (result (result (own $incoming-body)))))
    (export "[method]incoming-body.stream"
      (func (param "self" (borrow $incoming-body)) (result (result (own $input)))))
    (export "[static]incoming-body.finish"
      (func (param "this" (own $incoming-body)) (result (own $future-trailers))))
    (export "[method]future-trailers.subscribe"
      (func (param "self" (borrow $future-trailers)) (result (own $pollable))))
    (export "[method]future-trailers.get"
      (func (param "self" (borrow $future-trailers))
            (result (option (result (result (option (own $trailers)) (error $error-code)))))))

    (export "outgoing-response" (type $outgoing-response (sub resource)))
    (export "outgoing-body" (type $outgoing-body (sub resource)))
    (export "response-outparam" (type $response-outparam (sub resource)))
    (export "[constructor]outgoing-response"
      (func (param "headers" (own $headers)) (result (own $outgoing-response))))
    (export "[method]outgoing-response.set-status-code"
      (func (param "self" (borrow $outgoing-response)) (param "status-code" u16) (result (result))))
    (export "[method]outgoing-response.body"
      (func (param "self" (borrow $outgoing-response)) (result (result (own $outgoing-body)))))
    (export "[method]outgoing-body.write"
      (func (param "self" (borrow $outgoing-body)) (result (result (own $output)))))
    (export "[static]outgoing-body.finish"
      (func (param "this" (own $outgoing-body)) (param "trailers" (option (own $trailers)))
            (result (result (error $error-code)))))
    (export "[static]response-outparam.set"
      (func (param "param" (own $response-outparam))
            (param "response" (result (own $outgoing-response) (error $error-code)))))

    (export "outgoing-request" (type $outgoing-request (sub resource)))
    (export "request-options" (type (sub resource)))
    (export "incoming-response" (type $incoming-response (sub resource)))
    (export "future-incoming-response" (type $future-response (sub resource)))
    (export "[constructor]outgoing-request"
      (func (param "headers" (own $headers)) (result (own $outgoing-request))))
    (export "[method]outgoing-request.set-scheme"
      (func (param "self" (borrow $outgoing-request)) (param "scheme" (option $scheme)) (result (result))))
    (export "[method]outgoing-request.set-authority"
      (func (param "self" (borrow $outgoing-request)) (param "authority" (option string)) (result (result))))
    (export "[method]outgoing-request.set-path-with-query"
      (func (param "self" (borrow $outgoing-request)) (param "path-with-query" (option string)) (result (result))))
    (export "[method]future-incoming-response.subscribe"
      (func (param "self" (borrow $future-response)) (result (own $pollable))))
    (export "[method]future-incoming-response.get"
      (func (param "self" (borrow $future-response))
            (result (option (result (result (own $incoming-response) (error $error-code)))))))
    (export "[method]incoming-response.status"
      (func (param "self" (borrow $incoming-response)) (result u16)))
    (export "[method]incoming-response.consume"
      (func (param "self" (borrow $incoming-response)) (result (result (own $incoming-body)))))))
  (alias export $http "fields" (type $fields))
  (alias export $http "incoming-request" (type $incoming-request))
  (alias export $http "incoming-body" (type $incoming-body))
  (alias export $http "future-trailers" (type $future-trailers))
  (alias export $http "response-outparam" (type $response-outparam))
  (alias export $http "error-code" (type $error-code))
  (alias export $http "outgoing-request" (type $outgoing-request))
  (alias export $http "request-options" (type $request-options))
  (alias export $http "future-incoming-response" (type $future-response))

  ;; Bytes 0..1023 are for results and for lib.wat, 1024..65535 for the guest's own data, the rest for the allocator.
  (core module $Memory
    (memory (export "memory") 4)
    (global $top (mut i32) (i32.const 65536))
    ;; Forget every allocation: a guest that streams calls it after each piece.
    (func (export "reset") (global.set $top (i32.const 65536)))
    ;; The host only ever asks for new memory, so nothing is copied. Past the end of its 192 KiB it traps.
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and
        (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (if (i32.gt_u (global.get $top) (i32.const 262144)) (then (unreachable)))
      (local.get $at)))
  (core instance $memory (instantiate $Memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))

  ;; The names that guests import from "host".
  (core func $poll (canon lower (func $io-poll "poll") (memory $mem) (realloc $realloc)))
  (core func $pollable.block (canon lower (func $io-poll "[method]pollable.block")))
  (core func $input-stream.blocking-read
    (canon lower (func $io-streams "[method]input-stream.blocking-read") (memory $mem) (realloc $realloc)))
  (core func $output-stream.check-write
    (canon lower (func $io-streams "[method]output-stream.check-write") (memory $mem)))
  (core func $output-stream.write (canon lower (func $io-streams "[method]output-stream.write") (memory $mem)))
  (core func $output-stream.blocking-write-and-flush
    (canon lower (func $io-streams "[method]output-stream.blocking-write-and-flush") (memory $mem)))
  (core func $output-stream.subscribe (canon lower (func $io-streams "[method]output-stream.subscribe")))
  (core func $clock.now (canon lower (func $clock "now")))
  (core func $clock.subscribe-duration (canon lower (func $clock "subscribe-duration")))
  (core func $stderr (canon lower (func $stderr "get-stderr")))
  (core func $fields (canon lower (func $http "[constructor]fields")))
  (core func $fields.append (canon lower (func $http "[method]fields.append") (memory $mem)))
  (core func $fields.entries (canon lower (func $http "[method]fields.entries") (memory $mem) (realloc $realloc)))
  (core func $request.method
    (canon lower (func $http "[method]incoming-request.method") (memory $mem) (realloc $realloc)))
  (core func $request.path
    (canon lower (func $http "[method]incoming-request.path-with-query") (memory $mem) (realloc $realloc)))
  (core func $request.scheme
    (canon lower (func $http "[method]incoming-request.scheme") (memory $mem) (realloc $realloc)))
  (core func $request.authority
    (canon lower (func $http "[method]incoming-request.authority") (memory $mem) (realloc $realloc)))
  (core func $request.headers (canon lower (func $http "[method]incoming-request.headers")))
  (core func $request.consume (canon lower (func $http "[method]incoming-request.consume") (memory $mem)))
  (core func $incoming-body.stream (canon lower (func $http "[method]incoming-body.stream") (memory $mem)))
  (core func $incoming-body.finish (canon lower (func $http "[static]incoming-body.finish")))
  (core func $future-trailers.subscribe (canon lower (func $http "[method]future-trailers.subscribe")))
  (core func $future-trailers.get
    (canon lower (func $http "[method]future-trailers.get") (memory $mem) (realloc $realloc)))
  (core func $response (canon lower (func $http "[constructor]outgoing-response")))
  (core func $response.set-status-code (canon lower (func $http "[method]outgoing-response.set-status-code")))
  (core func $response.body (canon lower (func $http "[method]outgoing-response.body") (memory $mem)))
  (core func $outgoing-body.write (canon lower (func $http "[method]outgoing-body.write") (memory $mem)))
  (core func $outgoing-body.finish
    (canon lower (func $http "[static]outgoing-body.finish") (memory $mem) (realloc $realloc)))
  (core func $response-outparam.set (canon lower (func $http "[static]response-outparam.set") (memory $mem)))
  (core func $outgoing-request (canon lower (func $http "[constructor]outgoing-request")))
  (core func $outgoing-request.set-scheme
    (canon lower (func $http "[method]outgoing-request.set-scheme") (memory $mem)))
  (core func $outgoing-request.set-authority
    (canon lower (func $http "[method]outgoing-request.set-authority") (memory $mem)))
  (core func $outgoing-request.set-path
    (canon lower (func $http "[method]outgoing-request.set-path-with-query") (memory $mem)))
  (core func $future-response.subscribe
    (canon lower (func $http "[method]future-incoming-response.subscribe")))
  (core func $future-response.get
    (canon lower (func $http "[method]future-incoming-response.get") (memory $mem) (realloc $realloc)))
  (core func $incoming-response.status (canon lower (func $http "[method]incoming-response.status")))
  (core func $incoming-response.consume
    (canon lower (func $http "[method]incoming-response.consume") (memory $mem)))
  (core func $pollable.drop (canon resource.drop $pollable))
  (core func $input-stream.drop (canon resource.drop $input-stream))
  (core func $output-stream.drop (canon resource.drop $output-stream))
  (core func $fields.drop (canon resource.drop $fields))
  (core func $request.drop (canon resource.drop $incoming-request))
  (core func $incoming-body.drop (canon resource.drop $incoming-body))
  (core func $future-trailers.drop (canon resource.drop $future-trailers))
  (core instance $host
    (export "poll" (func $poll))
    (export "pollable.block" (func $pollable.block))
    (export "input-stream.blocking-read" (func $input-stream.blocking-read))
    (export "output-stream.check-write" (func $output-stream.check-write))
    (export "output-stream.write" (func $output-stream.write))
    (export "output-stream.blocking-write-and-flush" (func $output-stream.blocking-write-and-flush))
    (export "output-stream.subscribe" (func $output-stream.subscribe))
    (export "clock.now" (func $clock.now))
    (export "clock.subscribe-duration" (func $clock.subscribe-duration))
    (export "stderr" (func $stderr))
    (export "fields" (func $fields))
    (export "fields.append" (func $fields.append))
    (export "fields.entries" (func $fields.entries))
    (export "request.method" (func $request.method))
    (export "request.path" (func $request.path))
    (export "request.scheme" (func $request.scheme))
    (export "request.authority" (func $request.authority))
    (export "request.headers" (func $request.headers))
    (export "request.consume" (func $request.consume))
    (export "incoming-body.stream" (func $incoming-body.stream))
    (export "incoming-body.finish" (func $incoming-body.finish))
    (export "future-trailers.subscribe" (func $future-trailers.subscribe))
    (export "future-trailers.get" (func $future-trailers.get))
    (export "response" (func $response))
    (export "response.set-status-code" (func $response.set-status-code))
    (export "response.body" (func $response.body))
    (export "outgoing-body.write" (func $outgoing-body.write))
    (export "outgoing-body.finish" (func $outgoing-body.finish))
    (export "response-outparam.set" (func $response-outparam.set))
    (export "outgoing-request" (func $outgoing-request))
    (export "outgoing-request.set-scheme" (func $outgoing-request.set-scheme))
    (export "outgoing-request.set-authority" (func $outgoing-request.set-authority))
    (export "outgoing-request.set-path" (func $outgoing-request.set-path))
    (export "future-response.subscribe" (func $future-response.subscribe))
    (export "future-response.get" (func $future-response.get))
    (export "incoming-response.status" (func $incoming-response.status))
    (export "incoming-response.consume" (func $incoming-response.consume))
    (export "pollable.drop" (func $pollable.drop))
    (export "input-stream.drop" (func $input-stream.drop))
    (export "output-stream.drop" (func $output-stream.drop))
    (export "fields.drop" (func $fields.drop))
    (export "request.drop" (func $request.drop))
    (export "incoming-body.drop" (func $incoming-body.drop))
    (export "future-trailers.drop" (func $future-trailers.drop)))
