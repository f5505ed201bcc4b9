<?php
declare(strict_types=1);

final class InvalidSequence extends RuntimeException
{
}

function longestOrf(string $sequence): int
{
    $longest = 0;
    for ($frame = 0; $frame < 3; ++$frame) {
        $length = 0;
        for ($at = $frame; $at + 3 <= strlen($sequence); $at += 3) {
            $codon = substr($sequence, $at, 3);
            if ($length === 0) {
                $length = $codon === 'ATG' ? 1 : 0;
            } elseif ($codon === 'TAA' || $codon === 'TAG' || $codon === 'TGA') {
                $longest = max($longest, $length);
                $length = 0;
            } else {
                ++$length;
            }
        }
    }
    return $longest;
}

function handler(array $event, Context $context): array
{
    $sequence = strtoupper($event['sequence']);
    $bases = strlen($sequence);
    $valid = strspn($sequence, 'ACGTN');
    if ($valid < $bases) {
        throw new InvalidSequence(sprintf('no base: %s at %d', $sequence[$valid], $valid + 1));
    }
    echo "$bases bases, {$context->remainingMs()} ms left\n";
    return [
        'bases' => $bases,
        'gc' => substr_count($sequence, 'G') + substr_count($sequence, 'C'),
        'longest_orf' => longestOrf($sequence),
    ];
}
