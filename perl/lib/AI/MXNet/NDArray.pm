package AI::MXNet::NDArray;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Context;
use AI::MXNet::NDArray::Base;
use AI::MXNet::NDArray::Slice;
use AI::MXNet::NS;
use Scalar::Util qw(blessed);

our @ISA = ('AI::MXNet::NDArray::Base');    ## no critic (ProhibitExplicitISA)
@nd::ISA = (__PACKAGE__);

# All of these are C functions, so that an expression runs no Perl. There is no fallback: what is not named here dies.
use overload
    '+' => \&add,
    '-' => \&subtract,
    '*' => \&multiply,
    '/' => \&divide,
    '%' => \&modulo,
    '**' => \&power,
    '==' => \&equal,
    '!=' => \&not_equal,
    '>' => \&greater,
    '>=' => \&greater_equal,
    '<' => \&lesser,
    '<=' => \&lesser_equal,
    '+=' => \&iadd,
    '-=' => \&isubtract,
    '*=' => \&imultiply,
    '/=' => \&idivide,
    '%=' => \&imodulo,
    '.=' => \&set,
    '=' => \&AI::MXNet::Keshi::itself,
    'neg' => \&AI::MXNet::Keshi::negate,
    'bool' => \&AI::MXNet::Keshi::truth,
    '""' => \&AI::MXNet::Keshi::text,
    '@{}' => \&AI::MXNet::Keshi::rows,
    'sqrt' => \&AI::MXNet::Keshi::sqrt,
    'abs' => \&AI::MXNet::Keshi::abs,
    'sin' => \&AI::MXNet::Keshi::sin,
    'cos' => \&AI::MXNet::Keshi::cos,
    'exp' => \&AI::MXNet::Keshi::exp,
    'log' => \&AI::MXNet::Keshi::log,
    'atan2' => \&atan2;

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _is_array { return blessed($_[0]) && $_[0]->isa(__PACKAGE__) }

# Named arguments over their defaults; an unknown name dies.
sub _named
{
    my ($who, $defaults, @given) = @_;
    _fail("$who: got an odd number of named arguments") if @given % 2;
    my %given = (%$defaults, @given);
    for my $name (keys %given) {
        next if exists $defaults->{$name};
        _fail("$who: no such named argument '$name', want one of " . join ', ', sort keys %$defaults);
    }
    return \%given;
}

sub _whole
{
    my ($who, $what, $value) = @_;
    _fail("$who: $what got " . ($value // 'undef') . ', want a whole number')
        if ref $value
        or not defined $value
        or $value !~ /^[+-]?\d+(?:\.0*)?(?:[eE]\+?\d+)?$/;
    return 0 + $value;
}

# -- constructors

sub arange
{
    my ($class, @given) = @_;
    my $arg = _named(
        'arange',
        {
            start => 0,
            stop => undef,
            step => 1,
            repeat => 1,
            infer_range => 0,
            ctx => undef,
            dtype => 'float32'
        },
        @given,
    );
    my %range = map { $_ => _whole('arange', $_, $arg->{$_}) } qw(start step repeat);
    $range{stop} = _whole('arange', 'stop', $arg->{stop}) if defined $arg->{stop};
    return __PACKAGE__->_arange(
        {
            %range,
            infer_range => $arg->{infer_range} ? 1 : 0,
            ctx => $arg->{ctx} // AI::MXNet::Context->current_ctx,
            dtype => $arg->{dtype},
        }
    );
}

sub concatenate
{
    my ($class, $arrays, @given) = @_;
    my $arg = _named('concatenate', { axis => 0, always_copy => 1 }, @given);
    _fail('concatenate: no arrays provided') if ref $arrays ne 'ARRAY' or not @$arrays;
    for my $array (@$arrays) {
        _fail('concatenate: got ' . ($array // 'undef') . ', want an AI::MXNet::NDArray')
            if not _is_array($array);
    }
    my ($first, @rest) = @$arrays;
    return $first if not @rest and not $arg->{always_copy};
    my $rest_of = sub {
        my @shape = @{ $_[0]->shape };
        splice @shape, $arg->{axis}, 1;
        return join(',', @shape) . ' ' . $_[0]->dtype;
    };
    for my $i (1 .. @rest) {
        _fail("concatenate: first array $first and $i array $arrays->[$i] do not match")
            if $rest_of->($first) ne $rest_of->($arrays->[$i]);
    }
    return __PACKAGE__->concat(@$arrays, { dim => $arg->{axis} });
}

sub onehot_encode
{
    my ($class, $indices, $out) = @_;
    _fail('onehot_encode: want indices and an array of two dimensions')
        if not _is_array($indices)
        or not _is_array($out)
        or $out->ndim != 2;
    $out->set(__PACKAGE__->one_hot($indices, { depth => $out->shape->[1], dtype => $out->dtype }));
    return $out;
}

sub imdecode
{
    my ($class, $bytes, @rest) = @_;
    my %named = @rest == 1 && ref $rest[0] eq 'HASH' ? %{ $rest[0] } : @rest % 2 ? () : @rest;
    return AI::MXNet::Image->imdecode($bytes, @rest) if not defined $named{mean};
    my $arg = _named('imdecode', { clip_rect => [0, 0, 0, 0], out => undef, index => 0, channels => 3, mean => undef },
        %named);
    my $file = AI::MXNet::Image::file_array($bytes);
    my $out = $arg->{out};
    $out = $out->at($arg->{index}) if _is_array($out) and $out->ndim == 4;
    my $picture = __PACKAGE__->_imdecode($arg->{mean}, $file, $arg->{index}, @{ $arg->{clip_rect} },
        $arg->{channels}, $file->size, { defined $out ? (out => $out) : () });
    return $arg->{out} // $picture;
}

sub Custom
{
    my ($class, @args) = @_;
    return $class->SUPER::Custom(AI::MXNet::Operator->arrange(@args));
}

# What a monitor is given is an array already; its handle is the object.
sub new
{
    my ($class, @given) = @_;
    my $arg = _named('new', { handle => undef, writable => 1 }, @given);
    _fail('new: handle got ' . ($arg->{handle} // 'undef') . ', want what a monitor is given, an AI::MXNet::NDArray')
        if not _is_array($arg->{handle});
    my $array = $arg->{handle}->detach;
    $array->writable($arg->{writable} ? 1 : 0);
    return $array;
}

sub CachedOp
{
    my ($class, @args) = @_;
    return AI::MXNet::CachedOp->new(@args);
}

# -- files

sub load
{
    my ($class, $file) = @_;
    require AI::MXNet::NDArray::File;
    return AI::MXNet::NDArray::File::load($file);
}

sub load_frombuffer
{
    my ($class, $bytes) = @_;
    require AI::MXNet::NDArray::File;
    return AI::MXNet::NDArray::File::decode($bytes);
}

sub save
{
    my ($class, $file, $arrays) = @_;
    require AI::MXNet::NDArray::File;
    return AI::MXNet::NDArray::File::save($file, $arrays);
}

sub save_npy { return _save_as('npy', @_) }
sub save_npz { return _save_as('npz', @_) }
sub save_safetensors { return _save_as('safetensors', @_) }

sub _save_as
{
    my ($format, $class, $file, $arrays) = @_;
    require AI::MXNet::NDArray::File;
    return AI::MXNet::NDArray::File::save_as($file, $format, $arrays);
}

sub STORABLE_freeze
{
    my ($self) = @_;
    require AI::MXNet::NDArray::File;
    return pack('C', $self->writable) . AI::MXNet::NDArray::File::encode_one($self);
}

sub STORABLE_thaw
{
    my ($self, $cloning, $bytes) = @_;
    require AI::MXNet::NDArray::File;
    my $array = AI::MXNet::NDArray::File::decode_one(substr $bytes, 1);
    $array->writable(unpack 'C', $bytes);
    AI::MXNet::Keshi::adopt($self, $array);
    return;
}

# -- shapes

sub T : lvalue
{
    my $self = shift;
    _fail('T: Only 2D matrix is allowed to be transposed, got ' . join 'x', @{ $self->shape })
        if $self->ndim > 2;
    my $transposed = $self->transpose;
    $transposed;
}

sub moveaxis
{
    my ($self, $source, $destination) = @_;
    my $ndim = $self->ndim;
    for my $axis ($source, $destination) {
        _whole('moveaxis', 'axis', $axis);
        _fail("moveaxis: axis got $axis, want one of " . -$ndim . ' to ' . ($ndim - 1))
            if $axis < -$ndim
            or $axis >= $ndim;
        $axis += $ndim if $axis < 0;
    }
    my @axes = grep { $_ != $source } 0 .. $ndim - 1;
    splice @axes, $destination, 0, $source;
    return $self->transpose(\@axes);
}

sub broadcast_to
{
    my ($self, @args) = @_;
    return $self->AI::MXNet::NDArray::Base::broadcast_to(@args)
        if not ref $self
        or @args != 1
        or ref $args[0] ne 'ARRAY';
    my @wanted = @{ $args[0] };
    my @shape = @{ $self->shape };
    my @padded = ((1) x (@wanted > @shape ? @wanted - @shape : 0), @shape);
    _fail(    'broadcast_to: operands could not be broadcast together with remapped shapes[original->remapped]: '
            . "[@shape]->[@padded] and requested shape [@wanted]")
        if @padded != @wanted
        or grep { $padded[$_] != $wanted[$_] and $padded[$_] != 1 } 0 .. $#wanted;
    my $array = @padded == @shape ? $self : $self->reshape(\@padded);
    return __PACKAGE__->AI::MXNet::NDArray::Base::broadcast_to($array, { shape => \@wanted });
}

# -- indexing; whole rows are read in C, all else comes here

sub slice_any
{
    my ($self, @slices) = @_;
    return $self->AI::MXNet::NDArray::Base::slice(@slices) if not ref $self;
    _fail('slice: No slices supplied') if not @slices;
    if (grep { defined and not ref and /^(?:begin|end|slice)$/ } @slices) {
        my $arg = _named('slice', { begin => undef, end => undef, step => undef }, @slices);
        for my $name (qw(begin end step)) {
            delete $arg->{$name}, next if $name eq 'step' and not defined $arg->{step};
            $arg->{$name} =
                [map { _whole('slice', $name, $_) } ref $arg->{$name} ? @{ $arg->{$name} } : $arg->{$name}];
        }
        return __PACKAGE__->AI::MXNet::NDArray::Base::slice($self, $arg);
    }
    return $self->_pick(@{ $slices[0] }) if @slices == 1 and ref $slices[0] eq 'ARRAY' and ref $slices[0][0];
    my @shape = @{ $self->shape };
    _fail('slice: Dimensions size ' . @shape . ' < slices size ' . @slices) if @slices > @shape;
    _fail('slice: Dimensions size ' . @shape . ' != slices size ' . @slices . ', want one or one for each dimension')
        if @slices > 1 and @slices < @shape;
    my (@begin, @end);
    for my $i (0 .. $#slices) {
        my ($begin, $end) = _span($slices[$i], $i, $shape[$i]);
        push @begin, $begin;
        push @end, $end + 1;
    }
    return $self->view_rows($begin[0], $end[0]) if @slices == 1;
    return AI::MXNet::NDArray::Slice->new(parent => $self, begin => \@begin, end => \@end);
}

# First and last index of one dimension's spec.
sub _span
{
    my ($spec, $dimension, $size) = @_;
    return (0, $size - 1) if defined $spec and not ref $spec and $spec eq 'X';
    my @span = ref $spec eq 'ARRAY' ? @$spec : ($spec);
    _fail("slice: dimension $dimension got " . ($spec // 'undef') . ", want 'X', a whole number or [from, to]")
        if not @span
        or @span > 3
        or ref $spec and ref $spec ne 'ARRAY';
    _whole('slice', "dimension $dimension", $_) for @span;
    _fail('slice: NDArray does not support slice strides != 1, got ' . $span[2])
        if @span == 3 and $span[2] != 1;
    my ($begin, $end) = (@span, $span[0])[0, 1];
    my ($from, $to) = map { $_ < 0 ? $_ + $size : $_ } $begin, $end;
    _fail("slice: Dimension $dimension mismatch slice begin : $begin >= Dim Size: $size")
        if $from < 0 or $from >= $size;
    _fail("slice: Dimension $dimension mismatch slice end : $end >= Dim Size: $size")
        if $to < 0 or $to >= $size;
    _fail("slice: Dimension $dimension slice mismatch (begin $begin > end $end)") if $from > $to;
    return ($from, $to);
}

# The elements that lists of indices name.
sub _pick
{
    my ($self, @lists) = @_;
    my ($array) = grep { _is_array($_) } @lists;
    my $dtype = $array ? $array->dtype : 'int32';
    my @indices =
        map { _is_array($_) ? $_ : __PACKAGE__->array($_, dtype => $dtype, ctx => $self->context) } @lists;
    return __PACKAGE__->gather_nd($self, __PACKAGE__->stack(@indices));
}

# Every way to name elements, in a file of its own.
sub index
{    ## no critic (ProhibitBuiltinHomonyms)
    require AI::MXNet::NDArray::Index;
    goto &AI::MXNet::NDArray::Index::get;
}

sub index_put
{
    require AI::MXNet::NDArray::Index;
    goto &AI::MXNet::NDArray::Index::put;
}

# -- other values

# As a class method with all operands; called on an array, that is the first.
sub einsum
{
    my ($self, $equation, @operands) = @_;
    unshift @operands, $self if ref $self;
    @operands = map { blessed($_) && $_->isa('AI::MXNet::NDArray::Slice') ? $_->sever : $_ } @operands;
    return AI::MXNet::Keshi::einsum($equation, \@operands);
}

sub asmpdl : lvalue
{
    my $self = shift;
    require PDL::Matrix;
    _fail('asmpdl: got ' . join('x', @{ $self->shape }) . ', want two dimensions') if $self->ndim != 2;
    bless $self->aspdl->transpose->sever, 'PDL::Matrix';
}

sub tostype
{
    my ($self, $stype) = @_;
    return $self->copy if $stype eq 'default';
    return AI::MXNet::NDArray::Sparse->over($self, $stype, AI::MXNet::AutoGrad->is_recording);
}

sub cast_storage
{
    my ($self, @args) = @_;
    my $array = ref $self ? $self : shift @args;
    my $stype = ref $args[-1] eq 'HASH' ? $args[-1]{stype} : $args[-1];
    return $array->tostype($stype);
}

# bins is an array of edges, or how many.
sub histogram
{
    my ($self, @args) = @_;
    my $last = $#args > 0 && ref $args[-1] eq 'HASH' ? pop @args : undef;
    push @args, %$last if $last;
    for (my $i = $#args - 1; $i >= 0; $i -= 2) {
        last if ref $args[$i];
        $args[$i] = 'bin_cnt' if $args[$i] eq 'bins' and not ref $args[$i + 1];
    }
    unshift @args, $self if ref $self and not _is_array($args[0]);
    return __PACKAGE__->_histogram(@args);
}

# Values in columns, the middle left out where there are many; shape, dtype and context.
sub show
{
    my $self = shift;
    my $format = $self->dtype =~ /int/ ? '%d' : '%.6g';
    my $cells = $self->size ? _cells($self->detach, $format) : [];
    my $width = 0;
    my @all = ($cells);
    while (@all) {
        my $cell = pop @all;
        if (ref $cell) { push @all, @$cell }
        elsif ($cell ne '...' and length $cell > $width) { $width = length $cell }
    }
    return sprintf "%s\n%s %s @%s\n", _brackets($cells, $width, 0), join('x', @{ $self->shape }), $self->dtype,
        $self->context;
}

# The entries that are shown, nested as the axes are.
sub _cells
{
    my ($array, $format) = @_;
    my $rows = $array->len;
    my @ends = $rows > 8 ? ([0, 2], [$rows - 3, $rows - 1]) : ([0, $rows - 1]);
    my @parts = map {
        my ($from, $to) = @$_;
        my @part =
            $array->ndim == 1
            ? map { sprintf $format, $_ } $array->view_rows($from, $to + 1)->aspdl->list
            : map { _cells($array->at($_), $format) } $from .. $to;
        \@part
    } @ends;
    return [@{ $parts[0] }, map { ('...', @$_) } @parts[1 .. $#parts]];
}

sub _brackets
{
    my ($cells, $width, $depth) = @_;
    return '[' . join(' ', map { $_ eq '...' ? $_ : sprintf '%*s', $width, $_ } @$cells) . ']'
        if not grep { ref } @$cells;
    return '[' . join("\n" . ' ' x ($depth + 1), map { ref ? _brackets($_, $width, $depth + 1) : $_ } @$cells) . ']';
}

# -- namespaces of operators

sub contrib { return 'AI::MXNet::Contrib::NDArray' }
sub linalg { return 'AI::MXNet::LinAlg::NDArray' }
sub image { return 'AI::MXNet::Image::NDArray' }
sub random { return 'AI::MXNet::Random' }
sub sparse { return 'AI::MXNet::NDArray::Sparse' }

1;

__END__

=head1 NAME

AI::MXNet::NDArray - arrays of numbers

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $x = nd->array([[1, 2, 3], [4, 5, 6]]);
    my $y = ($x * 2 + 1) / $x->sum;
    print $y, "\n";                          # <AI::MXNet::NDArray 2x3 @cpu(0)>
    print $y->aspdl;                         # its values
    $x->at(0) .= 7;                          # rows are views: this writes into $x
    $x->slice('X', [1, 2]) += 10;            # columns 1 and 2 of all rows
    print join(',', @{ $x->shape }), ' ', $x->dtype, ' ', $x->sum->asscalar, "\n";
    print $x->show;

=head1 DESCRIPTION

An array has a shape, a dtype and a context, and holds its numbers row by row. Every operator of the library is a method,
see L<AI::MXNet::NDArray::Base>; arithmetic and comparison are overloaded. C<nd> is a short name of this class.

=head2 Making arrays

C<ctx> is the current context and C<dtype> C<float32> unless they are given.

=over 4

=item array($source, ctx =>, dtype =>)

From nested lists, a PDL, or another array (a copy, which autograd records). Short rows are filled with 0.

=item zeros($shape, ...), ones($shape, ...), full($shape, $value, ...), empty($shape, ...)

The first three also fill and return an array given as C<out>.

=item arange(start => 0, stop =>, step => 1, repeat => 1)

=item from_bytes($bytes, $shape, dtype =>, ctx =>), and the method bytes

Raw memory, row by row.

=item from_pdl_view($pdl)

An array on the memory of a PDL; see L</PDL>.

=item new(handle => $array, writable => 1)

Another object on the memory of an array: of what the callback of a monitor gets, say.

=item load($file), load_frombuffer($bytes), save($file, \@arrays or \%arrays)

MXNet's C<.params> format.

=back

=head2 Properties

C<shape>, C<size>, C<ndim>, C<len> (rows), C<dtype>, C<context>, C<stype>, C<writable>, C<handle> (a number for the object).
C<show> is a text with values, shape and dtype.

=head2 Indexing

=over 4

=item at($i), at($i, $j, ...)

Row C<$i>, sharing memory; or, with an index for each dimension, one element. Negative indices count from the end.

=item slice($spec), slice($spec, $spec, ...)

C<$spec> is an index, C<[$from, $to]> (both included) or C<'X'> for all. One spec gives rows that share memory. One for each
dimension gives an L<AI::MXNet::NDArray::Slice>, which is read when it is used and written through when it is assigned.

=item slice(begin => [...], end => [...], step => [...])

The operator: ends excluded, the result a copy.

=item slice([$indices, $indices, ...])

The elements that lists of indices name.

=item index(@specs), index_put(\@specs, $value)

Every way to name elements, by NumPy's rules: C<-1> is one index, whose axis goes; C<'1:5'>, C<'::2'> and C<'::-1'> are ranges whose
end is not included; C<'...'> stands for the axes that are not named, C<'newaxis'> is a new one of size 1; a list or array
of indices picks; C<[mask =E<gt> $mask]> picks where the mask is not 0. Several specs may be one text: C<index('1:, ..., -1')>. The
result is a copy, with gradients. C<index_put> writes a number, or what can be broadcast, into the elements named.

=item @$x, $x->[$i]

The rows as copies.

=item $x .= $value, set($value)

Writes a number, a list, a PDL or an array of the same shape into the array.

=back

=head2 Shapes and copies

C<reshape(\@shape)> shares memory and knows the codes 0 (as it is), -1 (the rest), -2 (all others), -3 (two merged) and -4 (one
split in two). C<T>, C<moveaxis>, C<broadcast_to>, C<concatenate>, C<copy>, C<copyto>, C<as_in_context>, C<astype>, C<detach>
(shares memory, has no history).

=head2 Sums of products

C<einsum($equation, @arrays)> is Einstein's summation: C<nd-E<gt>einsum('bij,bjk-E<gt>bik', $x, $y)>. C<...> broadcasts. It has gradients of
every order.

=head2 Files

C<save>, C<load>, C<load_frombuffer>, and C<save_npy>, C<save_npz>, C<save_safetensors>: see L<AI::MXNet::NDArray::File>.

=head2 Gradients

C<attach_grad(grad_req =E<gt> 'write')>, C<grad>, C<backward(out_grad =E<gt>, retain_graph =E<gt>, train_mode =E<gt>)>; see
L<AI::MXNet::AutoGrad>.

=head2 Truth

An array of one element is as true as its element. Any other is true.

=head2 PDL

C<aspdl> copies: the dimensions of the PDL are the shape reversed, the numbers in the same order. C<asmpdl> gives a
L<PDL::Matrix>. C<pdl_view> and C<from_pdl_view> share memory instead, for as long as either side lives; PDL cannot grow such
a PDL. Call C<touch> on an array after writing into it through a PDL, so that autograd knows.

=head2 DLPack

C<to_dlpack> gives an C<AI::MXNet::DLPack>, whose C<address> is that of a DLManagedTensor on the array's memory; C<release> gives it away
to code in C that calls its deleter. C<from_dlpack> makes an array of such an object or address, and takes it.

=head1 DIAGNOSTICS

What is wrong dies at the caller's line, with the operator, what it got and what it wants. The array is left as it was.

=cut
