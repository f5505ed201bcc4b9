/* The head of the restorer: offsets that template.cc reads, the way in, and the gate. */
    .section .text.head, "ax"
    .globl restorer_start
restorer_start:
    .long 0x48535231                       /* "HSR1" */
    .long restorer_entry - .               /* each value is relative to its own place */
    .long gate_start - .
    .long gate_end - .
    .long gate_thread - .
    .long gate_leader - .

/* rdi: the plan; rsi: the template's stack. Never returns. */
restorer_entry:
    mov %rsi, %rsp
    xor %ebp, %ebp
    call RestorerMain
    ud2

/* The gate is copied to the kept code page: the last instructions of every restored thread, when
   its stack is no longer there. r12: KeptData; r13: the thread's signal frame. */
    .p2align 4
gate_start:
gate_thread:
    mov $1, %eax
    lock xaddl %eax, 4(%r12)               /* ready */
    inc %eax
    cmp 8(%r12), %eax                      /* wanted: only the last one wakes the leader */
    jne 1f
    lea 4(%r12), %rdi
    mov $129, %esi                         /* FUTEX_WAKE | FUTEX_PRIVATE_FLAG */
    mov $1, %edx
    mov $202, %eax                         /* futex */
    syscall
1:  mov (%r12), %eax                       /* open */
    test %eax, %eax
    jnz 2f
    mov %r12, %rdi
    mov $128, %esi                         /* FUTEX_WAIT | FUTEX_PRIVATE_FLAG */
    xor %edx, %edx
    xor %r10d, %r10d
    mov $202, %eax
    syscall
    jmp 1b
2:  mov %r13, %rsp
    mov $15, %eax                          /* rt_sigreturn */
    syscall
    ud2

/* r14, r15: address and length of the part of the zone that is not kept. */
gate_leader:
    mov %r14, %rdi
    mov %r15, %rsi
    mov $11, %eax                          /* munmap */
    syscall
    test %rax, %rax
    jnz 3f
    movl $1, (%r12)
    mov %r12, %rdi
    mov $129, %esi
    mov $0x7fffffff, %edx
    mov $202, %eax
    syscall
    jmp 2b
3:  mov $231, %eax                         /* exit_group */
    mov $113, %edi
    syscall
    ud2
gate_end:
    .section .note.GNU-stack, "", @progbits
