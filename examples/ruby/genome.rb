# frozen_string_literal: true

class InvalidSequence < StandardError; end

STOPS = %w[TAA TAG TGA].freeze

def longest_orf(sequence)
  (0..2).map do |frame|
    longest = 0
    length = nil
    sequence[frame..].to_s.scan(/.../) do |codon|
      if length.nil?
        length = 1 if codon == 'ATG'
      elsif STOPS.include?(codon)
        longest = [longest, length].max
        length = nil
      else
        length += 1
      end
    end
    longest
  end.max
end

def handler(event, context)
  sequence = event.fetch('sequence').upcase
  if (at = sequence.index(/[^ACGTN]/))
    raise InvalidSequence, "no base: #{sequence[at]} at #{at + 1}"
  end

  puts "#{sequence.size} bases, #{context.get_remaining_time_in_millis} ms left"
  { bases: sequence.size, gc: sequence.count('GC'), longest_orf: longest_orf(sequence) }
end
