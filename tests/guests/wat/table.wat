;; table: /N grows its table by up to N elements and answers how many it has then; without N, all it can get.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (table $table 0 funcref)
    (func (export "handle") (param $request i32) (param $out i32)
      (local $left i64)
      (local.set $left (call $number (local.get $request) (i64.const -1)))
      (block $refused
        (loop $grow
          (br_if $refused (i64.eqz (local.get $left)))
          (br_if $refused (i32.eq (table.grow $table (ref.null func) (i32.const 1)) (i32.const -1)))
          (local.set $left (i64.sub (local.get $left) (i64.const 1)))
          (br $grow)))
      (call $start (local.get $out))
      (call $put-number (i64.extend_i32_u (table.size $table)))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
