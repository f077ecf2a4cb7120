;; inspect: answers with the request as the guest sees it: method, scheme, authority and path in a line each,
;; then the headers.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "memory" "memory" (memory 4))
    (import "host" "request.method" (func $method (param i32 i32)))
    (import "host" "request.scheme" (func $scheme (param i32 i32)))
    (import "host" "request.authority" (func $authority (param i32 i32)))
    (import "host" "request.path" (func $path (param i32 i32)))
    (import "host" "request.headers" (func $request.headers (param i32) (result i32)))
    (import "host" "fields.entries" (func $fields.entries (param i32 i32)))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put" (func $put (param i32 i32)))
    (import "lib" "finish" (func $finish))
    ;; Eight bytes a name, padded with spaces; then its length.
    (data (i32.const 1024) "GET     HEAD    POST    PUT     DELETE  CONNECT OPTIONS TRACE   PATCH   ")
    (data (i32.const 1100) "\03\04\04\03\06\07\07\05\05")
    (data (i32.const 1112) "https\n: none")
    (func $newline (call $put (i32.const 1117) (i32.const 1)))
    ;; Print the option<string> that a call left in the return area.
    (func $put-option
      (if (i32.load8_u (i32.const 0))
        (then (call $put (i32.load (i32.const 4)) (i32.load (i32.const 8))))
        (else (call $put (i32.const 1120) (i32.const 4))))
      (call $newline))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $entry i32) (local $left i32) (local $case i32)
      (call $start (local.get $out))

      (call $method (local.get $request) (i32.const 0))
      (local.set $case (i32.load8_u (i32.const 0)))
      (if (i32.lt_u (local.get $case) (i32.const 9))
        (then (call $put
          (i32.add (i32.const 1024) (i32.shl (local.get $case) (i32.const 3)))
          (i32.load8_u offset=1100 (local.get $case))))
        (else (call $put (i32.load (i32.const 4)) (i32.load (i32.const 8)))))
      (call $newline)

      ;; option<scheme>: the option at 0, the scheme's case at 4, another scheme's name at 8.
      (call $scheme (local.get $request) (i32.const 0))
      (local.set $case (i32.load8_u (i32.const 4)))
      (if (i32.load8_u (i32.const 0))
        (then
          (if (i32.lt_u (local.get $case) (i32.const 2))
            (then (call $put (i32.const 1112) (i32.add (i32.const 4) (local.get $case))))  ;; 0 is HTTP, 1 is HTTPS
            (else (call $put (i32.load (i32.const 8)) (i32.load (i32.const 12))))))
        (else (call $put (i32.const 1120) (i32.const 4))))
      (call $newline)

      (call $authority (local.get $request) (i32.const 0))
      (call $put-option)
      (call $path (local.get $request) (i32.const 0))
      (call $put-option)

      ;; list<tuple<string, list<u8>>>: 16 bytes an entry.
      (call $fields.entries (call $request.headers (local.get $request)) (i32.const 0))
      (local.set $entry (i32.load (i32.const 0)))
      (local.set $left (i32.load (i32.const 4)))
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $left)))
          (call $put (i32.load (local.get $entry)) (i32.load offset=4 (local.get $entry)))
          (call $put (i32.const 1118) (i32.const 2))
          (call $put (i32.load offset=8 (local.get $entry)) (i32.load offset=12 (local.get $entry)))
          (call $newline)
          (local.set $entry (i32.add (local.get $entry) (i32.const 16)))
          (local.set $left (i32.sub (local.get $left) (i32.const 1)))
          (br $next)))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
