;; keep3: keeps the request and what it opens of it: handles that nobody drops. Answers how
;; many such requests there were.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "host" "request.headers" (func $request.headers (param i32) (result i32)))
    (import "host" "set.new" (func $set.new (result i32)))
    (import "lib" "start" (func $start))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (global $count (mut i64) (i64.const 0))
    (func (export "handle") (param $request i32) (result i32)
      (drop (call $request.headers (local.get $request)))
      (drop (call $set.new))
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      (call $start)
      (call $put-number (global.get $count))
      (call $finish)
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
