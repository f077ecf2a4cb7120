;; memory3: /N grows its memory by up to N pages of 64 KiB and answers how
;; many pages it has then; without N, all it can get.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "memory" "memory" (memory 1))
    (import "host" "request.drop" (func $request.drop (param i32)))
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "start" (func $start))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (func (export "handle") (param $request i32) (result i32)
      (local $left i64)
      (local.set $left (call $number (local.get $request) (i64.const -1)))
      (call $request.drop (local.get $request))
      (block $done
        (loop $next
          (br_if $done (i64.eqz (local.get $left)))
          (br_if $done (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
          (local.set $left (i64.sub (local.get $left) (i64.const 1)))
          (br $next)))
      (call $start)
      (call $put-number (i64.extend_i32_u (memory.size)))
      (call $finish)
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
