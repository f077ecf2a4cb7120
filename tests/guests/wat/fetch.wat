;; fetch: /AUTHORITY/PATH sends GET http://AUTHORITY/PATH and answers with the status and body that come back, or 502 and
;; the name of the error code; //PATH is a request to the app itself.
(component
  ;; include imports.wat
  ;; include lib.wat
  (import "wasi:http/outgoing-handler@0.2.0" (instance $outgoing-handler
    (alias outer 1 $outgoing-request (type $outgoing-request'))
    (export "outgoing-request" (type $outgoing-request (eq $outgoing-request')))
    (alias outer 1 $request-options (type $request-options'))
    (export "request-options" (type $request-options (eq $request-options')))
    (alias outer 1 $future-response (type $future-response'))
    (export "future-incoming-response" (type $future-response (eq $future-response')))
    (alias outer 1 $error-code (type $error-code'))
    (export "error-code" (type $error-code (eq $error-code')))
    (export "handle"
      (func (param "request" (own $outgoing-request)) (param "options" (option (own $request-options)))
            (result (result (own $future-response) (error $error-code)))))))
  (core func $handle-outgoing
    (canon lower (func $outgoing-handler "handle") (memory $mem) (realloc $realloc)))
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (import "memory" "reset" (func $reset))
    (import "outgoing" "handle" (func $handle (param i32 i32 i32 i32)))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "request.path" (func $request.path (param i32 i32)))
    (import "host" "outgoing-request" (func $outgoing-request (param i32) (result i32)))
    (import "host" "outgoing-request.set-scheme" (func $set-scheme (param i32 i32 i32 i32 i32) (result i32)))
    (import "host" "outgoing-request.set-authority" (func $set-authority (param i32 i32 i32 i32) (result i32)))
    (import "host" "outgoing-request.set-path" (func $set-path (param i32 i32 i32 i32) (result i32)))
    (import "host" "future-response.subscribe" (func $subscribe (param i32) (result i32)))
    (import "host" "future-response.get" (func $get (param i32 i32)))
    (import "host" "incoming-response.status" (func $status (param i32) (result i32)))
    (import "host" "incoming-response.consume" (func $consume (param i32 i32)))
    (import "host" "incoming-body.stream" (func $incoming-body.stream (param i32 i32)))
    (import "host" "input-stream.blocking-read" (func $blocking-read (param i32 i64 i32)))
    (import "host" "pollable.block" (func $pollable.block (param i32)))
    (import "host" "pollable.drop" (func $pollable.drop (param i32)))
    (import "lib" "check" (func $check))
    (import "lib" "headers" (func $headers (result i32)))
    (import "lib" "respond" (func $respond (param i32 i32 i32) (result i32)))
    (import "lib" "put" (func $put (param i32 i32)))
    (import "lib" "finish" (func $finish))
    ;; The cases of error-code in their order, 36 bytes a name, padded with spaces.
    (data (i32.const 1024)
      "DNS-timeout                         DNS-error                           "
      "destination-not-found               destination-unavailable             "
      "destination-IP-prohibited           destination-IP-unroutable           "
      "connection-refused                  connection-terminated               "
      "connection-timeout                  connection-read-timeout             "
      "connection-write-timeout            connection-limit-reached            "
      "TLS-protocol-error                  TLS-certificate-error               "
      "TLS-alert-received                  HTTP-request-denied                 "
      "HTTP-request-length-required        HTTP-request-body-size              "
      "HTTP-request-method-invalid         HTTP-request-URI-invalid            "
      "HTTP-request-URI-too-long           HTTP-request-header-section-size    "
      "HTTP-request-header-size            HTTP-request-trailer-section-size   "
      "HTTP-request-trailer-size           HTTP-response-incomplete            "
      "HTTP-response-header-section-size   HTTP-response-header-size           "
      "HTTP-response-body-size             HTTP-response-trailer-section-size  "
      "HTTP-response-trailer-size          HTTP-response-transfer-coding       "
      "HTTP-response-content-coding        HTTP-response-timeout               "
      "HTTP-upgrade-failed                 HTTP-protocol-error                 "
      "loop-detected                       configuration-error                 "
      "internal-error                      ")
    ;; Answer 502 with the name of this case.
    (func $fail (param $out i32) (param $case i32)
      (local $name i32) (local $length i32)
      (local.set $name (i32.add (i32.const 1024) (i32.mul (local.get $case) (i32.const 36))))
      (loop $next
        (local.set $length (i32.add (local.get $length) (i32.const 1)))
        (br_if $next (i32.ne (i32.load8_u (i32.add (local.get $name) (local.get $length))) (i32.const 32))))
      (drop (call $respond (local.get $out) (i32.const 502) (call $headers)))
      (call $put (local.get $name) (local.get $length))
      (call $finish))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $at i32) (local $slash i32) (local $end i32)
      (local $outgoing i32) (local $future i32) (local $response i32) (local $stream i32)
      (call $request.path (local.get $request) (i32.const 0))
      (local.set $at (i32.add (i32.load (i32.const 4)) (i32.const 1)))
      (local.set $end (i32.add (i32.load (i32.const 4)) (i32.load (i32.const 8))))
      (local.set $slash (local.get $at))
      (block $found
        (loop $next
          (br_if $found (i32.ge_u (local.get $slash) (local.get $end)))
          (br_if $found (i32.eq (i32.load8_u (local.get $slash)) (i32.const 47)))
          (local.set $slash (i32.add (local.get $slash) (i32.const 1)))
          (br $next)))

      (local.set $outgoing (call $outgoing-request (call $fields)))
      (if (call $set-scheme (local.get $outgoing) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))
        (then (unreachable)))
      (if (call $set-authority (local.get $outgoing) (i32.ne (local.get $slash) (local.get $at))
            (local.get $at) (i32.sub (local.get $slash) (local.get $at)))
        (then (unreachable)))
      (if (call $set-path (local.get $outgoing) (i32.ne (local.get $slash) (local.get $end))
            (local.get $slash) (i32.sub (local.get $end) (local.get $slash)))
        (then (unreachable)))

      ;; result<future, error-code>: what is in it is 8 bytes further on, since error-code has 64-bit numbers inside.
      (call $handle (local.get $outgoing) (i32.const 0) (i32.const 0) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then
        (call $fail (local.get $out) (i32.load8_u (i32.const 8)))
        (return)))
      (local.set $future (i32.load (i32.const 8)))
      (local.set $at (call $subscribe (local.get $future)))
      (call $pollable.block (local.get $at))
      (call $pollable.drop (local.get $at))

      ;; option<result<result<incoming-response, error-code>>>: the inner result at 16, what is in it at 24.
      (call $get (local.get $future) (i32.const 0))
      (if (i32.load8_u (i32.const 16)) (then
        (call $fail (local.get $out) (i32.load8_u (i32.const 24)))
        (return)))
      (local.set $response (i32.load (i32.const 24)))
      (drop (call $respond (local.get $out) (call $status (local.get $response)) (call $headers)))
      (call $consume (local.get $response) (i32.const 0))
      (call $check)
      (call $incoming-body.stream (i32.load (i32.const 4)) (i32.const 0))
      (call $check)
      (local.set $stream (i32.load (i32.const 4)))
      (block $end
        (loop $next
          (call $blocking-read (local.get $stream) (i64.const 16384) (i32.const 0))
          (if (i32.load8_u (i32.const 0)) (then
            (br_if $end (i32.eq (i32.load8_u (i32.const 4)) (i32.const 1)))  ;; closed: the end of the body
            (unreachable)))
          (call $put (i32.load (i32.const 4)) (i32.load (i32.const 8)))
          (call $reset)
          (br $next)))
      (call $finish)))
  (core instance $guest (instantiate $Guest
    (with "memory" (instance $memory)) (with "host" (instance $host)) (with "lib" (instance $lib))
    (with "outgoing" (instance (export "handle" (func $handle-outgoing))))))
  ;; include export.wat
)
