package AI::MXNet::Types;
use 5.014;
use strict;
use warnings;
use Mouse ();
use Mouse::Util::TypeConstraints;

class_type 'AI::MXNet::NDArray';
class_type 'AI::MXNet::NDArray::Slice';
class_type 'AI::MXNet::Symbol';
class_type 'AI::MXNet::Initializer';
class_type 'AI::MXNet::Optimizer';
class_type 'AI::MXNet::EvalMetric';
class_type 'AI::MXNet::KVStore';
class_type 'AI::MXNet::DataDesc';
class_type 'AI::MXNet::Gluon::Block';
class_type 'PDL';
class_type 'PDL::Matrix';
class_type 'PDL::CCS::Nd';

enum Dtype => [qw(float32 float64 float16 uint8 int8 int32 int64)];
enum GradReq => [qw(add write null)];
enum Stype => [qw(default csr row_sparse)];
enum GluonClass => ['AI::MXNet::NDArray', 'AI::MXNet::Symbol'];
enum InternalSlice => [qw(begin end step)];
enum PoolType => [qw(max avg sum lp)];

subtype DimSize => as 'Int' => where { $_ >= 0 };
subtype Shape => as 'ArrayRef[DimSize]';
subtype Dropout => as 'Num' => where { $_ >= 0 and $_ <= 1 };
subtype Index => as 'Int|Str';
subtype AcceptableInput => as 'Num|PDL|PDL::Matrix|PDL::CCS::Nd|AI::MXNet::NDArray|AI::MXNet::NDArray::Slice|ArrayRef';
subtype IntList => as 'ArrayRef[Int]' => where { scalar @$_ };
subtype AllOf => as 'Str' => where { $_ eq 'X' };
subtype Slice => as 'Int|AllOf|IntList';
subtype AdvancedSlice => as 'ArrayRef[ArrayRef|PDL|AI::MXNet::NDArray]';
subtype NameShape => as 'ArrayRef' => where { !ref $_->[0] and ref $_->[1] eq 'ARRAY' };
subtype CudaKernelShape => as 'ArrayRef[Int]' => where { @$_ >= 1 and @$_ <= 3 };
subtype AuxTypes => as 'ArrayRef[Dtype]';
subtype GluonInput => as 'AI::MXNet::NDArray|AI::MXNet::Symbol|ArrayRef';
subtype Activation => as 'Str|AI::MXNet::Gluon::Block|CodeRef';
subtype Initializer => as 'AI::MXNet::Initializer|Str';
subtype Optimizer => as 'AI::MXNet::Optimizer|Str';
subtype EvalMetric => as 'AI::MXNet::EvalMetric|Str|CodeRef|ArrayRef';
subtype Metric => as 'Maybe[EvalMetric]';
subtype KVStore => as 'Maybe[Str|AI::MXNet::KVStore]';
subtype Updater => as 'CodeRef|Object';
subtype Callback => as 'CodeRef|ArrayRef[CodeRef|Object]|Object';
subtype NameShapeOrDataDesc => as 'NameShape|AI::MXNet::DataDesc';
subtype SymbolOrArrayOfSymbols => as 'AI::MXNet::Symbol|ArrayRef[AI::MXNet::Symbol]';

no Mouse::Util::TypeConstraints;

# What Mouse refuses in a constructor of ours is an error like any other: it names the class, at the caller's line.
for my $meta (qw(Mouse::Meta::Attribute Mouse::Meta::Class)) {
    my $throw = $meta->can('throw_error');
    my $throw_ours = sub {
        my ($self, $message) = @_;
        my $class = ($self->isa('Mouse::Meta::Attribute') ? $self->associated_class : $self)->name;
        goto &$throw if $class !~ /^AI::MXNet::(?:.*::)?(\w+)\z/;
        AI::MXNet::Keshi::fail("$1: $message");
    };
    no strict 'refs';
    no warnings 'redefine';
    *{"${meta}::throw_error"} = $throw_ours;
}

1;

__END__

=head1 NAME

AI::MXNet::Types - the types that signatures name

=head1 SYNOPSIS

    package My::Layer;
    use AI::MXNet::Function::Parameters;
    method area(Shape $shape, Dtype :$dtype='float32') { $shape->[0] * $shape->[1] }

    package main;
    print My::Layer->area([3, 4]), "\n";

=head1 DESCRIPTION

Mouse type constraints, for signatures written with L<AI::MXNet::Function::Parameters> and for attributes of Mouse classes:
C<DimSize>, C<Shape>, C<Dtype>, C<Stype>, C<GradReq>, C<GluonClass>, C<GluonInput>, C<Dropout>, C<Activation>, C<Index>,
C<Slice>, C<AdvancedSlice>, C<InternalSlice>, C<AcceptableInput>, C<Initializer>, C<Optimizer>, C<Metric>, C<EvalMetric>,
C<KVStore>, C<Updater>, C<Callback>, C<NameShape>, C<NameShapeOrDataDesc>, C<SymbolOrArrayOfSymbols>, C<AuxTypes>,
C<PoolType>, C<CudaKernelShape>.

=cut
