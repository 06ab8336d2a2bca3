package AI::MXNet::Base;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Carp qw(confess);
use List::Util ();
use Exporter qw(import);

# PDL exports a great many names; they go to a package of their own.
{

    package AI::MXNet::Base::PDL;
    use PDL;
}
our $CCS = eval { require PDL::CCS::Nd; 1 };

our @EXPORT = qw(
    product enumerate assert zip check_call build_param_doc pdl cat dog svd bisect_left pdl_shuffle as_array ascsr
    rand_sparse DTYPE_STR_TO_MX DTYPE_MX_TO_STR DTYPE_MX_TO_PDL DTYPE_PDL_TO_MX DTYPE_MX_TO_PERL GRAD_REQ_MAP
    STORAGE_TYPE_UNDEFINED STORAGE_TYPE_DEFAULT STORAGE_TYPE_ROW_SPARSE STORAGE_TYPE_CSR STORAGE_TYPE_STR_TO_ID
    STORAGE_TYPE_ID_TO_STR STORAGE_AUX_TYPES
);
our @EXPORT_OK = qw(pzeros pceil pones digitize hash array_index range);

# -- constants

my @dtypes = (
    [float32 => 0, 'float', 'f'],
    [float64 => 1, 'double', 'd'],
    [float16 => 2, 'float', 'S'],
    [uint8 => 3, 'byte', 'C'],
    [int32 => 4, 'long', 'l'],
    [int8 => 5, 'sbyte', 'c'],
    [int64 => 6, 'longlong', 'q'],
);

# PDL numbers its types anew now and then; only the names are stable.
sub _pdl_type { return PDL::Type->new($_[0])->enum }

use constant GRAD_REQ_MAP => { null => 0, write => 1, add => 3 };
use constant {
    STORAGE_TYPE_UNDEFINED => -1,
    STORAGE_TYPE_DEFAULT => 0,
    STORAGE_TYPE_ROW_SPARSE => 1,
    STORAGE_TYPE_CSR => 2,
};
use constant STORAGE_TYPE_STR_TO_ID => { undefined => -1, default => 0, row_sparse => 1, csr => 2 };
use constant STORAGE_TYPE_ID_TO_STR => { -1 => 'undefined', 0 => 'default', 1 => 'row_sparse', 2 => 'csr' };
use constant STORAGE_AUX_TYPES => { row_sparse => ['int64'], csr => ['int64', 'int64'] };

{
    my %str_to_mx = map { $_->[0] => $_->[1] } @dtypes;
    my %mx_to_str = map { $_->[1] => $_->[0] } @dtypes;
    my %mx_to_pdl = map { my $type = _pdl_type($_->[2]); ($_->[0] => $type, $_->[1] => $type) } @dtypes;
    my %pdl_to_mx = map { _pdl_type($_->[2]) => $_->[1] } grep { $_->[0] ne 'float16' } @dtypes;
    my %mx_to_perl = map { ($_->[0] => $_->[3], $_->[1] => $_->[3]) } @dtypes;
    require constant;
    constant->import(DTYPE_STR_TO_MX => \%str_to_mx);
    constant->import(DTYPE_MX_TO_STR => \%mx_to_str);
    constant->import(DTYPE_MX_TO_PDL => \%mx_to_pdl);
    constant->import(DTYPE_PDL_TO_MX => \%pdl_to_mx);
    constant->import(DTYPE_MX_TO_PERL => \%mx_to_perl);
}

# -- lists

sub _tuples
{
    my ($length, @lists) = @_;
    return map {
        my $i = $_;
        [map { $_->[$i] } @lists]
    } 0 .. $length - 1;
}

sub zip
{
    my ($code, @lists) = ref $_[0] eq 'CODE' ? @_ : (undef, @_);
    @lists = map { \@$_ } @lists;
    my $length = List::Util::min(map { scalar @$_ } @lists) // 0;
    return _tuples($length, @lists) if not $code;
    $code->(@$_) for _tuples($length, @lists);
    return;
}

sub enumerate
{
    my ($code, @lists) = ref $_[0] eq 'CODE' ? @_ : (undef, @_);
    return if not @lists;
    return zip($code // (), [0 .. $#{ $lists[0] }], @lists);
}

sub product
{
    my $product = 1;
    $product *= $_ for @_;
    return $product;
}

sub range
{
    my ($begin, $end, $step) = (@_, 1);
    my @values;
    for (my $value = $begin; $value < $end; $value += $step) {
        push @values, $value;
    }
    return @values;
}

sub array_index
{
    my ($wanted, $list) = @_;
    return List::Util::first(sub { $list->[$_] eq $wanted }, 0 .. $#$list);
}

sub digitize
{
    my ($x, $bins) = @_;
    return List::Util::first(sub { $x < $bins->[$_] }, 0 .. $#$bins) // scalar @$bins;
}

sub bisect_left
{
    my ($list, $x, $low, $high) = @_;
    $low //= 0;
    $high //= @$list;
    AI::MXNet::Keshi::fail('bisect_left: the low end must not be negative') if $low < 0;
    while ($low < $high) {
        my $middle = int(($low + $high) / 2);
        if ($list->[$middle] < $x) { $low = $middle + 1 }
        else { $high = $middle }
    }
    return $low;
}

sub as_array
{
    return ref $_[0] eq 'ARRAY' ? $_[0] : [$_[0]];
}

# -- checks and texts

sub assert
{
    my ($ok, $message) = @_;
    return if $ok;
    AI::MXNet::Keshi::fail($message // 'AssertionError');
}

sub check_call
{
    my ($status, @values) = @_;
    AI::MXNet::Keshi::fail(AI::MXNet::Keshi::last_error()) if $status;
    return wantarray ? @values : $values[0];
}

sub build_param_doc
{
    my ($names, $types, $docs, $once) = @_;
    $once //= 1;
    my (%seen, @lines);
    for my $i (0 .. $#$names) {
        next if $once and $seen{ $names->[$i] }++;
        next if $names->[$i] eq 'num_args';
        push @lines, "$names->[$i] : $types->[$i]" . (length $docs->[$i] ? "\n    $docs->[$i]" : '');
    }
    return "Parameters\n----------\n" . join("\n", @lines) . "\n";
}

sub hash
{
    require B;
    return hex B::hash($_[0]);
}

# -- PDL

*pdl = \&PDL::Core::pdl;
*cat = \&PDL::Core::cat;
*dog = \&PDL::Core::dog;
*svd = \&PDL::svd;
*pzeros = \&PDL::Core::zeros;
*pones = \&PDL::Core::ones;
*pceil = \&PDL::ceil;

$PDL::toolongtoprint = 1_000_000_000;

sub pdl_shuffle
{
    my ($pdl, $order) = @_;
    my @order =
        $order
        ? (ref $order eq 'ARRAY' ? @$order : $order->list)
        : List::Util::shuffle(0 .. $pdl->dim(-1) - 1);
    return $pdl->dice_axis($pdl->ndims - 1, PDL::Core::pdl(@order))->sever;
}

{
    no warnings 'redefine';
    my $at = \&PDL::at;
    *PDL::at = sub {
        my ($self, @index) = @_;
        return $at->(@_) if @index != 1 or $self->ndims < 2;
        return $self->slice(join ',', (':') x ($self->ndims - 1), "($index[0])")->squeeze;
    };
}

sub PDL::len
{
    my $self = shift;
    return $self->ndims ? $self->dim(-1) : 1;
}

sub PDL::dtype
{
    my $self = shift;
    my $type = DTYPE_PDL_TO_MX()->{ $self->type->enum };
    return defined $type ? DTYPE_MX_TO_STR()->{$type} : undef;
}

# -- sparse matrices: PDL::CCS::Nd, where it is installed

sub _need_ccs
{
    AI::MXNet::Keshi::fail("$_[0]: needs the module PDL::CCS, which is not installed") if not $CCS;
    return;
}

sub PDL::tocsr
{
    my $self = shift;
    _need_ccs('tocsr');
    return $self->toccs;
}

sub ascsr
{
    my ($data, $indptr, $indices, $shape) = @_;
    _need_ccs('ascsr');
    my ($nrows, $ncols) = ref $shape eq 'ARRAY' ? @$shape : $shape->list;
    my @ends = ref $indptr eq 'ARRAY' ? @$indptr : $indptr->list;
    my @rows = map { ($_) x ($ends[$_ + 1] - $ends[$_]) } 0 .. $nrows - 1;
    my @cols = ref $indices eq 'ARRAY' ? @$indices : $indices->list;
    $data = PDL::Core::pdl($data) if ref $data eq 'ARRAY';
    my $which = @rows ? PDL::Core::pdl(\@cols, \@rows)->transpose : PDL->zeroes(2, 0);
    return PDL::CCS::Nd->newFromWhich($which->long, $data, pdims => PDL->pdl(PDL::long(), $ncols, $nrows));
}

sub rand_sparse
{
    my ($rows, $cols, $density, $dtype, $format) = @_;
    my $type = PDL::Type->new(DTYPE_MX_TO_PDL()->{ $dtype // 'float32' });
    my $values = PDL->random($cols, $rows) * (PDL->random($cols, $rows) < $density);
    $values = $values->convert($type);
    return ($format // 'csr') eq 'csr' ? $values->tocsr : $values;
}

sub PDL::rand_sparse
{
    my ($class, @args) = @_;
    return rand_sparse(@args);
}

if ($CCS) {
    # PDL::CCS sorts by column; these are in the order of rows.
    my $order = sub {
        my $self = shift;
        my $which = $self->whichND;
        my ($col, $row) = map { $which->slice("($_)")->sever } 0, 1;
        my $by = ($row * $self->pdims->at(0) + $col)->qsorti;
        return ($row->index($by)->sever, $col->index($by)->sever, $self->whichVals->index($by)->sever);
    };
    my %methods = (
        data => sub { ($order->($_[0]))[2] },
        indices => sub { ($order->($_[0]))[1]->longlong },
        indptr => sub {
            my ($self) = @_;
            my ($row) = $order->($self);
            my @count = (0) x ($self->pdims->at(1) + 1);
            $count[$_ + 1]++ for $row->list;
            $count[$_] += $count[$_ - 1] for 1 .. $#count;
            return PDL->pdl(PDL::longlong(), \@count);
        },
        tocoo => sub {
            my ($row, $col, $data) = $order->($_[0]);
            return bless { row => $row, col => $col, data => $data }, 'AI::MXNet::COO';
        },
        shape => sub { PDL->pdl(PDL::longlong(), [reverse $_[0]->pdims->list]) },
        dtype => sub { $_[0]->whichVals->dtype },
    );
    no strict 'refs';
    no warnings 'redefine';
    *{"PDL::CCS::Nd::$_"} = $methods{$_} for keys %methods;
}

sub AI::MXNet::COO::data { return $_[0]{data} }
sub AI::MXNet::COO::row { return $_[0]{row} }
sub AI::MXNet::COO::col { return $_[0]{col} }

1;

__END__

=head1 NAME

AI::MXNet::Base - small helpers, and what is added to PDL

=head1 SYNOPSIS

    use AI::MXNet::Base qw(:DEFAULT range digitize);
    print "$_->[0] is $_->[1]\n" for zip([1, 2, 3], ['one', 'two', 'three']);
    enumerate(sub { my ($i, $name) = @_; print "$i: $name\n" }, ['a', 'b']);
    print product(2, 3, 4), ' ', join(',', range(0, 10, 3)), ' ', digitize(4, [1, 3, 5]), "\n";

=head1 DESCRIPTION

=head2 Exported

=over 4

=item zip(@lists), zip($code, @lists)

A list of tuples as long as the shortest list; or the code is called with each tuple. Anything that can be dereferenced as
an array will do.

=item enumerate(@lists), enumerate($code, @lists)

The same with an index in front.

=item product(@numbers), bisect_left($list, $x, $low, $high), as_array($x), assert($ok, $message)

=item pdl, cat, dog, svd

PDL's own.

=item pdl_shuffle($pdl, $order)

The entries of the last PDL dimension in the given order, or in a random one.

=item ascsr($data, $indptr, $indices, $shape), rand_sparse($rows, $cols, $density, $dtype, $format)

Sparse matrices, as L<PDL::CCS::Nd>. That module is optional.

=item DTYPE_STR_TO_MX and its kin

Hashes between names and numbers of dtypes, PDL types, C<pack> letters, gradient requests and storage types.

=back

On request: C<range>, C<digitize>, C<array_index>, C<hash>, and C<pzeros>, C<pones>, C<pceil>, which are PDL's.

=head2 Added to PDL

C<len> is the size of the last dimension, C<dtype> the name of the dtype that an array would have, C<tocsr> a sparse matrix;
C<at> with one index on a PDL of several dimensions is a row. PDLs are printed whole, however long.

=cut
