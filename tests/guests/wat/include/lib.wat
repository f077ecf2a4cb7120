  ;; What guests import from "lib": answering in plain text, and the number in the path. A failed call traps.
  (core module $Lib
    (import "memory" "memory" (memory 4))
    (import "memory" "reset" (func $reset))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "fields.append" (func $fields.append (param i32 i32 i32 i32 i32 i32)))
    (import "host" "request.path" (func $request.path (param i32 i32)))
    (import "host" "response" (func $response (param i32) (result i32)))
    (import "host" "response.set-status-code" (func $response.set-status-code (param i32 i32) (result i32)))
    (import "host" "response.body" (func $response.body (param i32 i32)))
    (import "host" "response-outparam.set"
      (func $response-outparam.set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "host" "outgoing-body.write" (func $outgoing-body.write (param i32 i32)))
    (import "host" "outgoing-body.finish" (func $outgoing-body.finish (param i32 i32 i32 i32)))
    (import "host" "output-stream.blocking-write-and-flush"
      (func $write-and-flush (param i32 i32 i32 i32)))
    (import "host" "output-stream.drop" (func $output-stream.drop (param i32)))

    (data (i32.const 512) "content-type")
    (data (i32.const 524) "text/plain")
    (global $body (mut i32) (i32.const 0))
    (global $stream (mut i32) (i32.const 0))

    ;; A result lies in the return area, its case in the first byte: anything but ok ends the guest.
    (func $check (export "check")
      (if (i32.load8_u (i32.const 0)) (then (unreachable))))

    ;; Headers that say text/plain; the caller may append to them.
    (func $headers (export "headers") (result i32)
      (local $headers i32)
      (local.set $headers (call $fields))
      (call $fields.append (local.get $headers)
        (i32.const 512) (i32.const 12) (i32.const 524) (i32.const 10) (i32.const 0))
      (call $check)
      (local.get $headers))

    ;; Answer with this status and these headers, and open the body. Returns the body's stream.
    (func $respond (export "respond") (param $out i32) (param $status i32) (param $headers i32) (result i32)
      (local $response i32)
      (local.set $response (call $response (local.get $headers)))
      (if (call $response.set-status-code (local.get $response) (local.get $status)) (then (unreachable)))
      (call $response.body (local.get $response) (i32.const 0))
      (call $check)
      (global.set $body (i32.load (i32.const 4)))
      (call $response-outparam.set (local.get $out) (i32.const 0) (local.get $response)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
      (call $outgoing-body.write (global.get $body) (i32.const 0))
      (call $check)
      (global.set $stream (i32.load (i32.const 4)))
      (global.get $stream))

    ;; The usual beginning: status 200, text/plain.
    (func (export "start") (param $out i32)
      (drop (call $respond (local.get $out) (i32.const 200) (call $headers))))

    ;; Send bytes, 4096 at a time as the interface demands, each piece flushed.
    (func $put (export "put") (param $at i32) (param $length i32)
      (local $piece i32)
      (loop $next
        (if (local.get $length) (then
          (local.set $piece (select (i32.const 4096) (local.get $length)
            (i32.gt_u (local.get $length) (i32.const 4096))))
          (call $write-and-flush (global.get $stream) (local.get $at) (local.get $piece) (i32.const 0))
          (call $check)
          (local.set $at (i32.add (local.get $at) (local.get $piece)))
          (local.set $length (i32.sub (local.get $length) (local.get $piece)))
          (br $next)))))

    ;; Send a number in decimal.
    (func (export "put-number") (param $number i64)
      (local $at i32)
      (local.set $at (i32.const 1024))
      (loop $digit
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (i32.store8 (local.get $at)
          (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
        (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
        (br_if $digit (i64.ne (local.get $number) (i64.const 0))))
      (call $put (local.get $at) (i32.sub (i32.const 1024) (local.get $at))))

    ;; Close the stream and the body, with trailers or, for -1, without. What the host says to it is not looked at.
    (func $finish-with (export "finish-with") (param $trailers i32)
      (call $output-stream.drop (global.get $stream))
      (call $outgoing-body.finish (global.get $body)
        (i32.ne (local.get $trailers) (i32.const -1)) (local.get $trailers) (i32.const 0)))

    (func (export "finish")
      (call $finish-with (i32.const -1)))

    ;; The number N at the end of the path, as in /whatever/N, or $default where there is none.
    (func (export "number") (param $request i32) (param $default i64) (result i64)
      (local $at i32) (local $end i32) (local $byte i32) (local $found i64) (local $any i32)
      (call $request.path (local.get $request) (i32.const 0))
      (local.set $at (i32.load (i32.const 4)))
      (local.set $end (i32.add (local.get $at) (i32.load (i32.const 8))))
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (local.set $byte (i32.load8_u (local.get $at)))
          (br_if $done (i32.eq (local.get $byte) (i32.const 63)))  ;; the query begins
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $byte (i32.sub (local.get $byte) (i32.const 48)))
          (if (i32.lt_u (local.get $byte) (i32.const 10))
            (then
              (local.set $found (i64.add (i64.mul (local.get $found) (i64.const 10))
                (i64.extend_i32_u (local.get $byte))))
              (local.set $any (i32.const 1)))
            (else
              (local.set $found (i64.const 0))
              (local.set $any (i32.const 0))))
          (br $next)))
      (call $reset)
      (select (local.get $found) (local.get $default) (local.get $any))))
  (core instance $lib (instantiate $Lib (with "memory" (instance $memory)) (with "host" (instance $host))))
