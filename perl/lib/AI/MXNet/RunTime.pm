package AI::MXNet::RunTime;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::NS;
use overload '""' => \&text, fallback => 1;

my @names = qw(
    CUDA CUDNN NCCL CUDA_RTC TENSORRT CPU_SSE CPU_SSE2 CPU_SSE3 CPU_SSE4_1 CPU_SSE4_2 CPU_SSE4A CPU_AVX CPU_AVX2 OPENMP SSE
    F16C JEMALLOC BLAS_OPEN BLAS_ATLAS BLAS_MKL BLAS_APPLE LAPACK MKLDNN OPENCV CAFFE PROFILER DIST_KVSTORE CXX14
    INT64_TENSOR_SIZE SIGNAL_HANDLER DEBUG TVM_OP
);

my $features;

sub Features
{
    my $class = shift;
    return $features //= do {
        my %has = map { $_ => 0 } @names;
        my @simd = qw(CPU_SSE CPU_SSE2 CPU_SSE3 CPU_SSE4_1 CPU_SSE4_2 CPU_AVX CPU_AVX2 SSE);
        @has{@simd} = (1) x @simd if AI::MXNet::Keshi::simd_level() =~ /^avx/;
        $has{INT64_TENSOR_SIZE} = 1;
        bless { features => \%has }, $class;
    };
}

sub features { return $_[0]{features} }

sub is_enabled
{
    my ($self, $name) = @_;
    AI::MXNet::Keshi::fail("Feature $name does not exist") if not exists $self->{features}{$name};
    return $self->{features}{$name};
}

sub text
{
    my $self = shift;
    my ($yes, $no) = ("\xe2\x9c\x94", "\xe2\x9c\x96");
    my $has = $self->{features};
    return '[' . join(', ', map { ($has->{$_} ? $yes : $no) . " $_" } sort keys %$has) . ']';
}

1;

__END__

=head1 NAME

AI::MXNet::RunTime - what this build can do

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $features = mx->runtime->Features;
    print "$features\n";
    print "vector instructions\n" if $features->is_enabled('CPU_AVX2');

=head1 DESCRIPTION

C<Features> is one object. Its C<features> is a hash of names and 0 or 1; C<is_enabled($name)> dies for a name that there is
not. As text it is the list of all, each with a tick or a cross.

=cut
