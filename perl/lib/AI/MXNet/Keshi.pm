package AI::MXNet::Keshi;
use 5.014;
use strict;
use warnings;
use XSLoader;

our $VERSION = '0.1.0';

XSLoader::load(__PACKAGE__, $VERSION);

1;

__END__

=head1 NAME

AI::MXNet::Keshi - the compiled half of this distribution

=head1 SYNOPSIS

    use AI::MXNet::Keshi;
    print AI::MXNet::Keshi::simd_level(), "\n";
    AI::MXNet::Keshi::set_num_threads(2);
    my ($live, $peak, $pooled) = AI::MXNet::Keshi::memory();

=head1 DESCRIPTION

Loads the library and defines what is written in C: most of L<AI::MXNet::NDArray> and L<AI::MXNet::AutoGrad>, one method
for each operator in L<AI::MXNet::NDArray::Base>, and these functions.

=over 4

=item simd_level()

The instruction set that the kernels use: C<portable>, C<avx2> or C<avx512>.

=item num_threads(), set_num_threads($n)

How many threads the kernels use; 0 stands for the default.

=item memory(), reset_peak_memory(), trim_memory()

Bytes that arrays hold now, the most they have held, and freed bytes that are kept for the next array; the other two start
the peak anew and give the kept bytes back.

=item operators($with_aliases), operator($name)

The names of all operators, and what the table says of one: a hash of its name, doc, aliases, inputs and params.

=item library_version()

The version of the library as a number: major * 10000 + minor * 100 + patch.

=back

=head1 SEE ALSO

L<AI::MXNet>

=cut
